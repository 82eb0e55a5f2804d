#include "daemon/history/history_database.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <type_traits>
#include <utility>

#include <fcntl.h>

#include <sqlite3.h>

#include "core/foundation/printable.hpp"
#include "core/foundation/unique_fd.hpp"

namespace seedbed {

namespace {

constexpr int schema_version = 2;
/// A century; a database can contain any number.
constexpr std::int64_t longest_taken_ms = 3'155'760'000'000;
/// Another program, for example sqlite3(1), may have locked the database.
constexpr int lock_patience_ms = 5000;
/// Two reports without an id describe the same deployment if their ends, computed from the age of the outcome, are no
/// further apart.
constexpr std::int64_t same_end_ms = 30'000;

/// Times are in milliseconds, since 1970 but for "taken", sizes in bytes; unknown values are NULL, unknown texts empty.
constexpr char const* create_schema =
    "CREATE TABLE deployments (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, is_job INTEGER NOT NULL,"
    " authenticated INTEGER NOT NULL, ended INTEGER NOT NULL, started INTEGER, end_state TEXT NOT NULL,"
    " verified INTEGER, machine TEXT NOT NULL, card TEXT NOT NULL, address TEXT NOT NULL, image TEXT NOT NULL,"
    " info_hash TEXT NOT NULL, device TEXT NOT NULL, model TEXT NOT NULL, serial TEXT NOT NULL,"
    " disk_class TEXT NOT NULL, disk_bytes INTEGER, image_bytes INTEGER, fetched INTEGER, reason TEXT NOT NULL,"
    " warnings TEXT NOT NULL, receipt TEXT NOT NULL DEFAULT '', taken INTEGER);"
    "CREATE INDEX deployments_by_id ON deployments (id, is_job, address);"
    "CREATE INDEX deployments_by_host ON deployments (address, info_hash, ended);"
    "CREATE INDEX deployments_of_strangers ON deployments (number) WHERE is_job = 0 AND authenticated = 0;"
    "PRAGMA user_version = 2;";
constexpr char const* extend_schema_1 = "ALTER TABLE deployments ADD COLUMN receipt TEXT NOT NULL DEFAULT '';"
                                        "ALTER TABLE deployments ADD COLUMN taken INTEGER;"
                                        "PRAGMA user_version = 2;";

constexpr char const* known_by_id =
    "SELECT 1 FROM deployments WHERE id = ?1 AND is_job = ?2 AND (is_job OR address = ?3)";
constexpr char const* known_by_end = "SELECT 1 FROM deployments WHERE address = ?1 AND info_hash = ?2 AND"
                                     " ended BETWEEN ?3 AND ?4 AND end_state = ?5 AND is_job = 0";
constexpr char const* insert_record =
    "INSERT INTO deployments (id, is_job, authenticated, ended, started, end_state, verified, machine, card, address,"
    " image, info_hash, device, model, serial, disk_class, disk_bytes, image_bytes, fetched, reason, warnings, receipt,"
    " taken) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,"
    " ?22, ?23)";
constexpr char const* remove_strangers =
    "DELETE FROM deployments WHERE number IN (SELECT number FROM deployments WHERE is_job = 0 AND authenticated = 0"
    " ORDER BY number DESC LIMIT -1 OFFSET ?1)";
constexpr char const* remove_oldest =
    "DELETE FROM deployments WHERE number IN (SELECT number FROM deployments ORDER BY number DESC LIMIT -1 OFFSET ?1)";
constexpr char const* select_records =
    "SELECT number, id, is_job, authenticated, ended, started, end_state, verified, machine, card, address, image,"
    " info_hash, device, model, serial, disk_class, disk_bytes, image_bytes, fetched, reason, warnings, taken, CASE "
    "WHEN ?7 THEN"
    " receipt ELSE '' END FROM deployments WHERE (?1 = '' OR image = ?1 COLLATE NOCASE OR (length(?1) >= 6 AND "
    "substr(info_hash, 1, length(?1)) = "
    "lower(?1)))"
    " AND (?2 = '' OR machine = ?2 COLLATE NOCASE OR card = ?2 COLLATE NOCASE OR address = ?2 COLLATE NOCASE)"
    " AND (?3 IS NULL OR ended >= ?3) AND (?4 = 0 OR end_state <> 'done') AND (?5 IS NULL OR number < ?5)"
    " ORDER BY number DESC LIMIT ?6";

using wall_time = deployment_record::wall_time;

std::int64_t milliseconds_of(wall_time time) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

/// A database can contain any number. It is clamped to the years 1970 to 2255, so that it fits into nanoseconds.
wall_time time_of(std::int64_t milliseconds) {
    constexpr std::int64_t latest = 9'000'000'000'000;
    return wall_time(std::chrono::milliseconds(std::clamp<std::int64_t>(milliseconds, 0, latest)));
}

/// A prepared statement. Its parameters are bound in their order.
class statement {
public:
    statement(sqlite3* database, char const* text) {
        m_code = ::sqlite3_prepare_v2(database, text, -1, &m_statement, nullptr);
    }
    statement(statement const&) = delete;
    statement& operator=(statement const&) = delete;
    // The result repeats that of the last step.
    ~statement() { static_cast<void>(::sqlite3_finalize(m_statement)); }

    statement& bind(std::int64_t value) { return note(::sqlite3_bind_int64(m_statement, ++m_bound, value)); }
    statement& bind(bool value) { return bind(std::int64_t{value ? 1 : 0}); }
    statement& bind(std::string_view text) {
        return note(
            ::sqlite3_bind_text(m_statement, ++m_bound, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT));
    }
    template <class T>
    statement& bind(std::optional<T> const& value) {
        return value ? bind(*value) : note(::sqlite3_bind_null(m_statement, ++m_bound));
    }

    /// \return SQLITE_ROW, SQLITE_DONE, or an error.
    [[nodiscard]] int step() { return m_code == SQLITE_OK ? ::sqlite3_step(m_statement) : m_code; }
    /// Makes it ready to be bound and stepped again.
    void reset() {
        static_cast<void>(::sqlite3_reset(m_statement)); // repeats the result of the last step
        m_bound = 0;
    }

    [[nodiscard]] std::int64_t number(int column) { return ::sqlite3_column_int64(m_statement, column); }
    [[nodiscard]] std::optional<std::int64_t> known_number(int column) {
        return ::sqlite3_column_type(m_statement, column) == SQLITE_NULL ? std::nullopt : std::optional(number(column));
    }
    [[nodiscard]] std::string text(int column) {
        auto const* const bytes = ::sqlite3_column_text(m_statement, column);
        auto const size = static_cast<std::size_t>(::sqlite3_column_bytes(m_statement, column));
        return bytes == nullptr ? std::string() : std::string(reinterpret_cast<char const*>(bytes), size);
    }

private:
    statement& note(int code) {
        m_code = m_code == SQLITE_OK ? code : m_code;
        return *this;
    }

    sqlite3_stmt* m_statement = nullptr;
    int m_code = SQLITE_OK; ///< of preparing and binding
    int m_bound = 0;
};

deployment_record record_of(statement& row) {
    deployment_record record;
    record.id = row.text(1);
    record.is_job = row.number(2) != 0;
    record.authenticated = row.number(3) != 0;
    record.ended = time_of(row.number(4));
    if (auto const started = row.known_number(5)) {
        record.started = time_of(*started);
    }
    record.end = parse_deployment_end(row.text(6)).value_or(deployment_end::failed);
    if (auto const verified = row.known_number(7)) {
        record.verified = *verified != 0;
    }
    record.machine = row.text(8);
    record.card = row.text(9);
    record.address = row.text(10);
    record.image = row.text(11);
    record.info_hash = row.text(12);
    record.device = row.text(13);
    record.model = row.text(14);
    record.serial = row.text(15);
    record.disk_class = row.text(16);
    record.disk_bytes = row.known_number(17);
    record.image_bytes = row.known_number(18);
    record.fetched = row.known_number(19);
    record.reason = row.text(20);
    record.warnings = row.text(21);
    if (auto const taken = row.known_number(22)) {
        record.taken = std::chrono::milliseconds(std::clamp<std::int64_t>(*taken, 0, longest_taken_ms));
    }
    record.receipt = row.text(23);
    return bounded(std::move(record));
}

} // namespace

struct history_database::connection {
    explicit connection(std::string where)
        : path(std::move(where)) {}
    connection(connection const&) = delete;
    connection& operator=(connection const&) = delete;
    // All statements are finalised: it cannot fail.
    ~connection() { static_cast<void>(::sqlite3_close(database)); }

    [[nodiscard]] tl::unexpected<error> failure() const {
        return tl::unexpected(error{path + ": " + ::sqlite3_errmsg(database)});
    }
    [[nodiscard]] result<void> run(char const* text) const {
        if (::sqlite3_exec(database, text, nullptr, nullptr, nullptr) != SQLITE_OK) {
            return failure();
        }
        return {};
    }
    /// The first value of the only row.
    [[nodiscard]] result<std::string> value(char const* text) const {
        statement asked(database, text);
        if (asked.step() != SQLITE_ROW) {
            return failure();
        }
        return asked.text(0);
    }
    [[nodiscard]] result<void> prepare();
    [[nodiscard]] result<void> insert_new(std::vector<deployment_record> const& records, std::size_t& added) const;
    [[nodiscard]] result<bool> is_known(deployment_record const& record) const;
    [[nodiscard]] result<void> remove_above(std::size_t limit) const;

    std::string const path;
    sqlite3* database = nullptr;
    bool is_new = false;
};

result<void> history_database::connection::prepare() {
    static_cast<void>(::sqlite3_busy_timeout(database, lock_patience_ms)); // cannot fail with a valid database
    for (auto const option : {SQLITE_DBCONFIG_DEFENSIVE, SQLITE_DBCONFIG_TRUSTED_SCHEMA}) {
        auto const wanted = option == SQLITE_DBCONFIG_DEFENSIVE ? 1 : 0;
        static_cast<void>(::sqlite3_db_config(database, option, wanted, nullptr)); // unknown to an older library
    }
    auto const version = value("PRAGMA user_version");
    if (!version) {
        return tl::unexpected(version.error());
    }
    is_new = *version == "0";
    auto const is_old = *version == "1";
    if (!is_new && !is_old && *version != std::to_string(schema_version)) {
        return tl::unexpected(error{path + ": made by a newer version of Seedbed (format " + *version +
                                    ", this version supports " + std::to_string(schema_version) + ")"});
    }
    auto const checked = value("PRAGMA quick_check(1)");
    if (!checked || *checked != "ok") {
        return checked ? tl::unexpected(error{path + ": damaged: " + printable(*checked)})
                       : tl::unexpected(checked.error());
    }
    for (auto const* const text : {"PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL"}) {
        if (auto set = run(text); !set) {
            return set;
        }
    }
    // Without a change, this fails if the database cannot be written.
    auto const* const change = is_new ? create_schema : is_old ? extend_schema_1 : "";
    auto made = run("BEGIN IMMEDIATE").and_then([&] { return run(change); }).and_then([this] { return run("COMMIT"); });
    if (!made) {
        static_cast<void>(run("ROLLBACK")); // nothing to undo if that fails, too
    }
    return made;
}

result<bool> history_database::connection::is_known(deployment_record const& record) const {
    auto const ended = milliseconds_of(record.ended);
    statement known(database, record.id.empty() ? known_by_end : known_by_id);
    if (record.id.empty()) {
        known.bind(std::string_view(record.address))
            .bind(std::string_view(record.info_hash))
            .bind(ended - same_end_ms)
            .bind(ended + same_end_ms)
            .bind(std::string_view(to_string(record.end)));
    } else {
        known.bind(std::string_view(record.id)).bind(record.is_job).bind(std::string_view(record.address));
    }
    auto const code = known.step();
    return code == SQLITE_ROW || code == SQLITE_DONE ? result<bool>(code == SQLITE_ROW) : failure();
}

result<void> history_database::connection::insert_new(std::vector<deployment_record> const& records,
                                                      std::size_t& added) const {
    statement insert(database, insert_record);
    for (auto const& unbounded : records) {
        auto const record = bounded(unbounded);
        auto const known = is_known(record);
        if (!known) {
            return tl::unexpected(known.error());
        }
        if (*known) {
            continue;
        }
        insert.bind(std::string_view(record.id)).bind(record.is_job).bind(record.authenticated);
        insert.bind(milliseconds_of(record.ended));
        insert.bind(record.started ? std::optional(milliseconds_of(*record.started)) : std::nullopt);
        insert.bind(std::string_view(to_string(record.end))).bind(record.verified);
        for (auto const* const text : {&record.machine, &record.card, &record.address, &record.image, &record.info_hash,
                                       &record.device, &record.model, &record.serial, &record.disk_class}) {
            insert.bind(std::string_view(*text));
        }
        insert.bind(record.disk_bytes).bind(record.image_bytes).bind(record.fetched);
        insert.bind(std::string_view(record.reason)).bind(std::string_view(record.warnings));
        insert.bind(std::string_view(record.receipt));
        insert.bind(record.taken ? std::optional(std::int64_t{record.taken->count()}) : std::nullopt);
        if (insert.step() != SQLITE_DONE) {
            return failure();
        }
        insert.reset();
        ++added;
    }
    return {};
}

result<void> history_database::connection::remove_above(std::size_t limit) const {
    for (auto const& [text, kept] : {std::pair(remove_strangers, (limit + 1) / 2), std::pair(remove_oldest, limit)}) {
        statement removal(database, text);
        removal.bind(static_cast<std::int64_t>(kept));
        if (removal.step() != SQLITE_DONE) {
            return failure();
        }
    }
    return {};
}

history_database::history_database(std::unique_ptr<connection> opened)
    : m_connection(std::move(opened)) {}
history_database::history_database(history_database&&) noexcept = default;
history_database& history_database::operator=(history_database&&) noexcept = default;
history_database::~history_database() = default;

result<history_database> history_database::open(std::filesystem::path const& path) {
    // SQLite would make the file readable by everyone; its other files get the same mode. Closed at once: closing it
    // later would release SQLite's locks, which belong to the process.
    if (unique_fd const made(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)); !made) {
        return tl::unexpected(errno_error(path.string(), errno));
    }
    auto opened = std::make_unique<connection>(path.string());
    auto const flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    if (::sqlite3_open_v2(path.c_str(), &opened->database, flags, nullptr) != SQLITE_OK) {
        return opened->failure();
    }
    if (auto const prepared = opened->prepare(); !prepared) {
        return tl::unexpected(prepared.error());
    }
    return history_database(std::move(opened));
}

bool history_database::is_new() const noexcept {
    return m_connection->is_new;
}

result<std::size_t> history_database::add(std::vector<deployment_record> const& records, std::size_t limit) {
    auto& to = *m_connection;
    std::size_t added = 0;
    if (auto const begun = to.run("BEGIN IMMEDIATE"); !begun) {
        return tl::unexpected(begun.error());
    }
    auto const done = to.insert_new(records, added)
                          .and_then([&] { return added > 0 ? to.remove_above(limit) : result<void>(); })
                          .and_then([&] { return to.run("COMMIT"); });
    if (!done) {
        static_cast<void>(to.run("ROLLBACK")); // SQLite may have done that already
        return tl::unexpected(done.error());
    }
    to.is_new = false;
    return added;
}

result<std::vector<numbered_record>> history_database::find(history_filter const& filter) {
    auto& from = *m_connection;
    statement select(from.database, select_records);
    select.bind(std::string_view(filter.image)).bind(std::string_view(filter.machine));
    select.bind(filter.since ? std::optional(milliseconds_of(*filter.since)) : std::nullopt);
    select.bind(filter.unsuccessful).bind(filter.before);
    select.bind(static_cast<std::int64_t>(std::min(filter.most, most_listed_of(filter)))).bind(filter.receipts);
    std::vector<numbered_record> found;
    auto code = select.step();
    for (; code == SQLITE_ROW; code = select.step()) {
        found.push_back({select.number(0), record_of(select)});
    }
    if (code != SQLITE_DONE) {
        return from.failure();
    }
    return found;
}

} // namespace seedbed
