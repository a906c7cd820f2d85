// Rights that let one role act as another.
#include "health/checks/checks.hpp"

#include "health/checks/unseen.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::format;

void open_schemas(const Observations &seen, Judge &judge)
{
    if (unseen(seen, judge, "privileges"))
        return;
    for (const std::string &schema : seen.privileges.open_schemas) {
        Finding &finding = judge.found(Status::warning, schema,
                                       format("every role may create objects in schema %s", schema.c_str()));
        finding.cause = "a function or operator put there under a known name is found first -> other users' "
                        "statements run it with their rights";
        finding.fix = format("REVOKE CREATE ON SCHEMA %s FROM PUBLIC;", schema.c_str());
        finding.undo = format("GRANT CREATE ON SCHEMA %s TO PUBLIC;", schema.c_str());
    }
    judge.fine("no schema lets every role create objects");
}

void definer_search_path(const Observations &seen, Judge &judge)
{
    if (unseen(seen, judge, "privileges"))
        return;
    for (const observed::DefinerRoutine &routine : seen.privileges.definer_routines) {
        const char *const who = routine.everybody ? "everybody may call it" : "others may call it";
        Finding &finding = judge.found(
            Status::warning, routine.signature,
            format("%s runs with the rights of %s%s, %s, and it takes names from its caller's search_path",
                   routine.signature.c_str(), routine.superuser ? "superuser " : "",
                   base::quote_identifier(routine.owner).c_str(), who));
        finding.evidence.add("owner", routine.owner)
            .add("owner_is_superuser", routine.superuser)
            .add("public_may_call", routine.everybody);
        finding.cause =
            "the caller puts a schema of his own first -> the routine runs his functions as its owner";
        finding.fix = format("ALTER ROUTINE %s SET search_path = %s, pg_temp;", routine.signature.c_str(),
                             routine.schema.c_str());
        finding.undo = format("ALTER ROUTINE %s RESET search_path;", routine.signature.c_str());
    }
    judge.fine("every SECURITY DEFINER routine that others may call sets its search_path");
}

constexpr Check checks[] = {
    {
        .id = "open_schemas",
        .title = "schemas where every role may create objects",
        .category = Category::configuration,
        .points = 15,
        .explanation =
            "Databases made before PostgreSQL 15 let every role create objects in schema public, and "
            "pg_upgrade and restores keep that. Whoever may create there can put a function in the way "
            "of other users' statements.",
        .source = "pg_namespace.nspacl: CREATE for PUBLIC",
        .evaluate = open_schemas,
    },
    {
        .id = "definer_search_path",
        .title = "SECURITY DEFINER routines without a search_path",
        .category = Category::configuration,
        .points = 20,
        .explanation =
            "A SECURITY DEFINER routine that does not set its search_path looks names up in its "
            "caller's, so its caller chooses what it runs with its owner's rights. Routines that only "
            "their owner may call, of extensions, in C, and with a body in the SQL standard's form are "
            "left out.",
        .source = "pg_proc: prosecdef and no search_path in proconfig",
        .evaluate = definer_search_path,
    },
};

} // namespace

std::span<const Check> privilege_checks()
{
    return checks;
}

} // namespace opsrunbook::health
