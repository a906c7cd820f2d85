#include "health/storage/growth.hpp"

#include "base/text.hpp"

#include "base/no_server_headers.hpp"

namespace opsrunbook::health {

Growth growth_of(const std::vector<RecordedSize> &records, int64_t bytes_now, base::Timestamp now)
{
    constexpr double microseconds_a_day = 86400e6, longest = 30, shortest = 0.5;
    const RecordedSize *oldest = nullptr;
    double days = 0;
    for (const RecordedSize &record : records) {
        const double age =
            static_cast<double>(now.microseconds - record.at.microseconds) / microseconds_a_day;
        if (age >= 0 && age <= longest && (!oldest || age > days)) {
            oldest = &record;
            days = age;
        }
    }
    if (!oldest)
        return {std::nullopt, "growth is not known: no size was recorded in the last 30 days; "
                              "opsrunbook.record_storage_sizes() does, daily in the default schedule"};
    if (days < shortest)
        return {
            std::nullopt,
            base::format("growth is not known yet: its first size was recorded %.1f hours ago", days * 24)};
    return {static_cast<double>(bytes_now - oldest->bytes) / days,
            base::format("growth over the last %.1f days", days)};
}

} // namespace opsrunbook::health
