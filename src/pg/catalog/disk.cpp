#include "pg/catalog/disk.hpp"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>
#include <system_error>

#include "pg/database.hpp"
#include "pg/postgres.hpp"

namespace opsrunbook::pg {

namespace {

namespace fs = std::filesystem;

struct Place {
    std::string holds, path;
};

std::vector<Place> places()
{
    std::vector<Place> out = {{"data directory", DataDir}, {"pg_wal", std::string(DataDir) + "/pg_wal"}};
    const Result rows =
        query("SELECT spcname::text AS name, pg_tablespace_location(oid) AS path FROM pg_tablespace"
              " WHERE pg_tablespace_location(oid) <> '' ORDER BY oid");
    for (size_t r = 0; r < rows.size(); ++r) {
        const std::string &path = rows.at(r, "path").text();
        // a tablespace inside the data directory is told relative to it
        out.push_back({"tablespace " + rows.at(r, "name").text(),
                       path.starts_with('/') ? path : std::string(DataDir) + "/" + path});
    }
    return out;
}

} // namespace

void read_volumes(observed::Server &server)
{
    std::map<dev_t, size_t> by_device;
    for (const Place &place : places()) {
        struct stat file;
        struct statvfs system;
        if (stat(place.path.c_str(), &file) != 0 || statvfs(place.path.c_str(), &system) != 0) {
            server.unseen["disk space of " + place.holds] =
                place.path + ": " + std::generic_category().message(errno);
            continue;
        }
        const auto [known, added] = by_device.try_emplace(file.st_dev, server.volumes.size());
        if (!added) {
            server.volumes[known->second].holds += ", " + place.holds;
            continue;
        }
        // What is kept for root alone counts as neither used nor free, as in df.
        const auto unit = static_cast<int64_t>(system.f_frsize);
        const int64_t free_bytes = static_cast<int64_t>(system.f_bavail) * unit;
        const int64_t used = static_cast<int64_t>(system.f_blocks - system.f_bfree) * unit;
        server.volumes.push_back({place.holds, place.path, used + free_bytes, free_bytes});
    }
}

std::optional<int64_t> multixact_member_bytes()
{
    constexpr int64_t segment_bytes = int64_t{32} * BLCKSZ; // SLRU_PAGES_PER_SEGMENT
    std::error_code failed;
    int64_t segments = 0;
    for (fs::directory_iterator entry(fs::path(DataDir) / "pg_multixact/members", failed), end;
         !failed && entry != end; entry.increment(failed))
        ++segments;
    return failed ? std::nullopt : std::optional(segments * segment_bytes);
}

std::optional<int64_t> memory_bytes()
{
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGE_SIZE);
    std::optional<int64_t> bytes;
    if (pages > 0 && page > 0)
        bytes = static_cast<int64_t>(pages) * page;
    for (const char *limit_file :
         {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
        std::ifstream file(limit_file);
        int64_t limit = 0;
        if (file >> limit && limit > 0 && (!bytes || limit < *bytes)) // "max" is no number: no limit
            bytes = limit;
    }
    return bytes;
}

} // namespace opsrunbook::pg
