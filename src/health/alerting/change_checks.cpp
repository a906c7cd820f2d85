// Adding and removing the users' own checks.
#include "health/alerting/alerting.hpp"
#include "health/alerting/user_checks.hpp"

#include "base/error.hpp"
#include "pg/database.hpp"
#include "pg/guarded_query.hpp"
#include "pg/role.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

namespace {

using base::Error;
using base::ErrorKind;
using base::format;
using base::Value;

std::optional<double> number(const Value &value)
{
    return value.is_null() ? std::nullopt : std::optional(value.real());
}

UserCheck definition_of(const pg::Arguments &arguments)
{
    UserCheck check;
    check.name = arguments.text(0);
    check.sql = arguments.text(1);
    check.warning = number(arguments.value(2));
    check.critical = number(arguments.value(3));
    check.direction = parse_direction(arguments.is_null(4) ? "above" : arguments.text(4));
    check.unit = arguments.text(5);
    check.in_score = arguments.boolean(6);
    check.timeout_ms = arguments.integer(7, 1000);
    check.description = arguments.text(8);
    check.role = pg::current_user();
    check.search_path = pg::search_path();
    return check;
}

Value text_or_null(const std::string &text)
{
    return text.empty() ? Value() : Value(text);
}

} // namespace

Value add_check(const pg::Arguments &arguments)
{
    const UserCheck check = definition_of(arguments);
    require_valid(check);
    const pg::Measured measured =
        pg::measure({check.sql, check.role, check.search_path, static_cast<int>(check.timeout_ms)});
    if (!measured.value && !measured.empty)
        throw Error(ErrorKind::invalid_input,
                    format("the query of check \"%s\" cannot be used", check.name.c_str()), measured.problem,
                    "Give one SELECT that returns one number, changes nothing, and ends before timeout_ms.");
    const pg::Result added = pg::as_house_owner([&] {
        return pg::query(
            "INSERT INTO opsrunbook.user_check (name, sql, warning, critical, direction, unit, in_score,"
            " timeout_ms, description, role, search_path)"
            " VALUES ($1, $2, $3::numeric, $4::numeric, $5, $6, $7, $8, $9, $10::oid::regrole, $11)"
            " ON CONFLICT (name) DO NOTHING RETURNING name",
            {check.name, check.sql, Value(check.warning), Value(check.critical),
             std::string(direction_text(check.direction)), text_or_null(check.unit), check.in_score,
             check.timeout_ms, text_or_null(check.description), static_cast<int64_t>(check.role),
             check.search_path});
    });
    if (added.empty())
        throw Error(ErrorKind::duplicate, format("check \"%s\" exists already", check.name.c_str()), "",
                    format("SELECT opsrunbook.remove_check(%s); removes it.",
                           base::quote_literal(check.name).c_str()));
    if (!measured.value)
        return format("check %s added; it is UNKNOWN now: %s", check.name.c_str(), measured.problem.c_str());
    const ListedUserCheck listed(check);
    const Outcome outcome = outcome_of(listed, {measured.value, ""});
    return format("check %s added; it is %s now, with a value of %s", check.name.c_str(),
                  std::string(status_text(outcome.status)).c_str(),
                  base::number_text(*measured.value).c_str());
}

// Its author may, whoever has the author's privileges, and a superuser.
Value remove_check(const pg::Arguments &arguments)
{
    const std::string name = arguments.text(0);
    const pg::Result found = pg::as_house_owner([&] {
        return pg::query("SELECT pg_get_userbyid(role)::text FROM opsrunbook.user_check WHERE name = $1",
                         {name});
    });
    if (found.empty())
        throw Error(ErrorKind::undefined, format("check \"%s\" does not exist", name.c_str()), "",
                    "SELECT name FROM opsrunbook.user_checks lists the checks that were added.");
    const std::string author = found.at(0, size_t{0}).text();
    if (!pg::has_privileges_of(author) && !pg::is_superuser())
        throw Error(ErrorKind::not_allowed, format("permission denied for check \"%s\"", name.c_str()),
                    format("Role %s added it.", base::quote_identifier(author).c_str()),
                    "Ask that role, or a superuser, to remove it.");
    pg::as_house_owner([&] {
        pg::query("DELETE FROM opsrunbook.user_check WHERE name = $1", {name});
        pg::query("DELETE FROM opsrunbook.mute WHERE check_id = $1", {name});
    });
    return true;
}

} // namespace opsrunbook::health
