#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/foundation/error.hpp"
#include "daemon/history/deployment_record.hpp"

namespace seedbed {

/// A record and its number: later records have larger ones.
struct numbered_record {
    std::int64_t number = 0;
    deployment_record record;
};

/// The records of deployments in an SQLite database, whose schema is in history_database.cpp. Records survive a power
/// cut once add() has returned (write-ahead log, synchronous = FULL).
///
/// Threads: one at a time; every call blocks. Errors are one line that starts with the path.
class history_database {
public:
    /// Opens the database at \p path, or creates it. Fails if it is damaged, cannot be written, or was made by a newer
    /// version of this program.
    [[nodiscard]] static result<history_database> open(std::filesystem::path const& path);

    history_database(history_database&&) noexcept;
    history_database& operator=(history_database&&) noexcept;
    ~history_database();

    /// Whether open() created the database, which then has no records yet.
    [[nodiscard]] bool is_new() const noexcept;

    /// Adds records in one transaction, except those that it already has: the end of a deployment is reported
    /// repeatedly. Then removes the oldest records above \p limit. Records that anyone may have sent (no job, not
    /// authenticated) fill at most half of it. \return the number of records that were new.
    [[nodiscard]] result<std::size_t> add(std::vector<deployment_record> const& records, std::size_t limit);

    /// The matching records, newest first, at most most_listed_records.
    [[nodiscard]] result<std::vector<numbered_record>> find(history_filter const& filter);

private:
    struct connection;
    explicit history_database(std::unique_ptr<connection> opened);

    std::unique_ptr<connection> m_connection;
};

} // namespace seedbed
