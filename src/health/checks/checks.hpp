#pragma once
// The tables of checks, one a category's file.

#include "health/check.hpp"

namespace opsrunbook::health {

std::span<const Check> wraparound_checks();
std::span<const Check> vacuum_checks();
std::span<const Check> vacuum_progress_checks();
std::span<const Check> connections_checks();
std::span<const Check> sessions_checks();
std::span<const Check> locks_checks();
std::span<const Check> performance_checks();
std::span<const Check> slru_checks();
std::span<const Check> update_checks();
std::span<const Check> statements_checks();
std::span<const Check> indexes_checks();
std::span<const Check> storage_checks();
std::span<const Check> space_checks();
std::span<const Check> replication_checks();
std::span<const Check> slot_checks();
std::span<const Check> wal_checks();
std::span<const Check> archiving_checks();
std::span<const Check> backup_checks();
std::span<const Check> verification_checks();
std::span<const Check> integrity_checks();
std::span<const Check> configuration_checks();
std::span<const Check> privilege_checks();
std::span<const Check> memory_checks();
std::span<const Check> bloat_checks();
std::span<const Check> job_checks();
std::span<const Check> mute_checks();

} // namespace opsrunbook::health
