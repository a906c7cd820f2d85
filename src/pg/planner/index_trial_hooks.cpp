#include "pg/planner/index_trial_hooks.hpp"
#include "pg/boundary.hpp"
#include "pg/planner/concerned_tables.hpp"
#include "pg/planner/hidden_indexes.hpp"
#include "pg/planner/used_indexes.hpp"
#include "pg/settings.hpp"
#include "pg/worker.hpp"

#include "advice/index_trial/policy.hpp"
#include "base/text.hpp"

extern "C" {
#include "nodes/pathnodes.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/plancat.h"
#include "optimizer/planmain.h"
#include "optimizer/planner.h"
#include "storage/lock.h"
}

namespace opsrunbook::pg {

namespace {

planner_hook_type previous_planner = nullptr;
get_relation_info_hook_type previous_relation_info = nullptr;

// One statement being planned.  Statements nest: planning may evaluate functions that plan their own.
// The destructor only assigns.
class Planning {
public:
    Planning() : outer(current) { current = this; }
    Planning(const Planning &) = delete;
    Planning &operator=(const Planning &) = delete;
    ~Planning() { current = outer; }

    static Planning *current;
    bool touched = false; // a table with a hidden index takes part
    bool showing = false; // and is shown with it

private:
    Planning *outer;
};
Planning *Planning::current = nullptr;

void take_hidden_out(PlannerInfo *root, Oid relation, bool inherited, RelOptInfo *rel)
{
    if (previous_relation_info)
        previous_relation_info(root, relation, inherited, rel);
    if (rel->indexlist == NIL || !Planning::current || Planning::current->showing || !any_hidden_index())
        return;
    List *kept = NIL;
    for (int i = 0; i < list_length(rel->indexlist); ++i) {
        void *const index = list_nth(rel->indexlist, i);
        if (is_hidden_index(static_cast<IndexOptInfo *>(index)->indexoid))
            Planning::current->touched = true;
        else
            kept = lappend(kept, index);
    }
    if (list_length(kept) != list_length(rel->indexlist))
        rel->indexlist = kept;
}

PlannedStmt *plan_next(Query *query, const char *text, int options, ParamListInfo parameters)
{
    return previous_planner ? previous_planner(query, text, options, parameters)
                            : standard_planner(query, text, options, parameters);
}

advice::PlanCost cost_of(const PlannedStmt *statement)
{
    advice::PlanCost cost;
    cost.startup = statement->planTree->startup_cost;
    cost.total = statement->planTree->total_cost;
#if PG_VERSION_NUM >= 180000
    cost.disabled_nodes = statement->planTree->disabled_nodes;
#endif
    return cost;
}

// True for the first of all sessions that ask for the index; until its transaction ends, the others need not.
bool first_to_ask(Oid index)
{
    return call([index] {
        LOCKTAG tag;
        SET_LOCKTAG_OBJECT(tag, MyDatabaseId, hidden_indexes_table(), index, 0);
        return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
    });
}

// No free worker slot: the next query that profits asks again.
void ask_for_restoration(Oid index, double without, double with, const char *text)
{
    if (!first_to_ask(index))
        return;
    WorkerRequest request = request_from_session(Work::restore_index, 0);
    request.role = request.session_role;
    request.relation = index;
    request.asking_pid = MyProcPid;
    request.cost_before = without;
    request.cost_after = with;
    const std::string snippet = base::one_line(text ? text : "", sizeof request.note - 1);
    strlcpy(request.note, snippet.c_str(), sizeof request.note);
    if (Worker::launch(request))
        show_hidden_index(index);
}

PlannedStmt *plan_twice(Query *query, const char *text, int options, ParamListInfo parameters)
{
    Planning planning;
    // Planning scribbles on the query, so it must be copied before we know whether it is needed again.
    Query *const again = call([query] { return static_cast<Query *>(copyObjectImpl(query)); });
    PlannedStmt *const without = call([&] { return plan_next(query, text, options, parameters); });
    if (!planning.touched)
        return without;
    planning.showing = true;
    PlannedStmt *const with = call([&] { return plan_next(again, text, options, parameters); });

    const double fraction = options & CURSOR_OPT_FAST_PLAN ? cursor_tuple_fraction : 1;
    const advice::PlanCost cost_without = cost_of(without), cost_with = cost_of(with);
    if (!advice::profits(cost_without, cost_with, fraction, settings().index_trial_min_gain))
        return without;
    List *const used = call([with] { return hidden_indexes_used(with); });
    if (used == NIL) // only the statistics of an index on an expression made the difference
        return without;
    for (int i = 0; i < list_length(used); ++i)
        ask_for_restoration(list_nth_oid(used, i), cost_without.of(fraction), cost_with.of(fraction), text);
    return with;
}

PlannedStmt *plan(Query *query, const char *text, int options, ParamListInfo parameters)
{
    // Inside another statement's planning ours must be known as one of its own, whatever it reads.
    if (!any_hidden_index() || (!Planning::current && !may_be_concerned(query)))
        return plan_next(query, text, options, parameters);
    Failure failure;
    PlannedStmt *planned = nullptr;
    if (guarded(failure, [&] { planned = plan_twice(query, text, options, parameters); }))
        return planned;
    if (failure.sqlstate == 0)
        PG_RE_THROW();
    raise(failure);
}

} // namespace

void install_index_trial_hooks()
{
    previous_planner = planner_hook;
    planner_hook = plan;
    previous_relation_info = get_relation_info_hook;
    get_relation_info_hook = take_hidden_out;
}

} // namespace opsrunbook::pg
