#include "pg/planner/used_indexes.hpp"
#include "pg/planner/hidden_indexes.hpp"

namespace opsrunbook::pg {

namespace {

void walk(const Plan *plan, List **found);

void walk(const List *plans, List **found)
{
    for (int i = 0; i < list_length(plans); ++i)
        walk(static_cast<const Plan *>(list_nth(plans, i)), found);
}

void note(Oid index, List **found)
{
    if (is_hidden_index(index))
        *found = list_append_unique_oid(*found, index);
}

template <class Node> const Node *as(const Plan *plan)
{
    return reinterpret_cast<const Node *>(plan);
}

void walk(const Plan *plan, List **found)
{
    if (!plan)
        return;
    check_stack_depth();
    switch (nodeTag(plan)) {
    case T_IndexScan:
        note(as<IndexScan>(plan)->indexid, found);
        break;
    case T_IndexOnlyScan:
        note(as<IndexOnlyScan>(plan)->indexid, found);
        break;
    case T_BitmapIndexScan:
        note(as<BitmapIndexScan>(plan)->indexid, found);
        break;
    case T_Append:
        walk(as<Append>(plan)->appendplans, found);
        break;
    case T_MergeAppend:
        walk(as<MergeAppend>(plan)->mergeplans, found);
        break;
    case T_BitmapAnd:
        walk(as<BitmapAnd>(plan)->bitmapplans, found);
        break;
    case T_BitmapOr:
        walk(as<BitmapOr>(plan)->bitmapplans, found);
        break;
    case T_SubqueryScan:
        walk(as<SubqueryScan>(plan)->subplan, found);
        break;
    case T_CustomScan:
        walk(as<CustomScan>(plan)->custom_plans, found);
        break;
    default:
        break;
    }
    walk(plan->lefttree, found);
    walk(plan->righttree, found);
}

} // namespace

List *hidden_indexes_used(const PlannedStmt *statement)
{
    List *found = NIL;
    walk(statement->planTree, &found);
    walk(statement->subplans, &found); // min() and max() from an index are in here too
    return found;
}

} // namespace opsrunbook::pg
