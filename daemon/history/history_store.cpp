#include "daemon/history/history_store.hpp"

#include <filesystem>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include <boost/asio/post.hpp>

#include "core/foundation/format_count.hpp"
#include "core/foundation/state_file.hpp"
#include "daemon/history/history_database.hpp"
#include "daemon/history/history_document.hpp"
#include "daemon/history/receipt_text.hpp"
#include "daemon/log/logging.hpp"

namespace seedbed {

namespace {

constexpr char const* database_name = "history.sqlite";
constexpr char const* job_file_name = "machine-history.jsonl"; ///< of earlier versions
constexpr std::size_t most_waiting_records = 10'000;
constexpr std::size_t most_waiting_receipts = 4U << 20; ///< bytes, packed
constexpr std::size_t most_waiting_requests = 8;
/// Five times what the longest jobs need.
constexpr std::int64_t largest_job_file = 8LL << 20;

} // namespace

/// What the history's thread works on.
struct history_store::file {
    // On that thread only:
    std::filesystem::path folder;
    bool absent = false; ///< there is no database yet: the first record creates it
    std::optional<history_database> database;
    std::string reason = "the history is still being opened"; ///< why there is no database
    bool failed = false;                                      ///< the last write

    std::mutex mutex; ///< guards the members below
    std::vector<deployment_record> waiting;
    std::size_t waiting_receipts = 0; ///< bytes
    std::size_t limit = 0;
    std::size_t left_out = 0;

    void use(std::filesystem::path const& wanted);
    void open();
    void import(std::filesystem::path const& jobs);
    /// \return the number of records that were new.
    std::size_t write();
    [[nodiscard]] result<std::string> find(history_filter const& filter);
};

void history_store::file::use(std::filesystem::path const& wanted) {
    folder = wanted;
    database.reset();
    reason.clear();
    std::error_code ignored; // open() reports it
    absent = !std::filesystem::exists(folder / database_name, ignored) &&
             !std::filesystem::exists(folder / job_file_name, ignored);
    if (!absent) {
        open();
    }
}

void history_store::file::open() {
    absent = false;
    failed = false;
    std::error_code ignored; // opening the database reports it
    std::filesystem::create_directories(folder, ignored);
    auto opened = history_database::open(folder / database_name);
    if (!opened) {
        reason = opened.error().message;
        log_warning({}, "cannot use the history of deployments: " + reason +
                            "; deployments are not recorded until the file is repaired or removed, and the daemon "
                            "restarted");
        return;
    }
    database = std::move(*opened);
    reason.clear();
    if (database->is_new()) {
        import(folder / job_file_name);
    }
}

void history_store::file::import(std::filesystem::path const& jobs) {
    auto const text = load_state_file(jobs, largest_job_file);
    if (!text) {
        log_warning({}, "cannot import ended jobs: " + text.error().message);
        return;
    }
    std::size_t skipped = 0;
    auto const records = *text ? parse_job_file(**text, skipped) : std::vector<deployment_record>{};
    if (records.empty()) {
        return;
    }
    std::unique_lock lock(mutex);
    auto const most = limit;
    lock.unlock();
    if (auto const added = database->add(records, most); !added) {
        log_warning({}, "cannot import ended jobs: " + added.error().message);
    } else {
        log_info({}, "imported " + format_count(*added, "ended job") + " from " + jobs.string() +
                         (skipped > 0 ? "; left out " + format_count(skipped, "damaged line") : ""));
    }
}

std::size_t history_store::file::write() {
    std::unique_lock lock(mutex);
    auto records = std::exchange(waiting, {});
    waiting_receipts = 0;
    auto const dropped = std::exchange(left_out, 0);
    auto const most = limit;
    lock.unlock();
    if (dropped > 0) {
        log_warning({}, "too many deployments ended at once: " + format_count(dropped, "deployment") +
                            " are missing from the history");
    }
    if (absent && !records.empty()) {
        open();
    }
    if (records.empty() || !database) {
        return 0;
    }
    for (auto& record : records) {
        if (auto const packed = std::exchange(record.packed_receipt, {}); !packed.empty()) {
            record.receipt = unpacked_receipt(packed);
        }
    }
    auto const added = database->add(records, most);
    if (!added && !failed) {
        log_warning({}, "cannot record deployments: " + added.error().message + "; they are missing from the history");
    } else if (added && failed) {
        log_info({}, "recording deployments again");
    }
    failed = !added;
    return added.value_or(0);
}

result<std::string> history_store::file::find(history_filter const& filter) {
    if (absent) {
        return to_history_document({}, filter.most);
    }
    if (!database) {
        return tl::unexpected(error{reason});
    }
    return database->find(filter).map([&](auto const& found) { return to_history_document(found, filter.most); });
}

history_store::history_store(boost::asio::io_context& main)
    : m_main(main)
    , m_file(std::make_shared<file>()) {}

history_store::~history_store() = default;

void history_store::apply(std::string const& folder, std::size_t limit) {
    {
        std::scoped_lock const lock(m_file->mutex);
        m_file->limit = limit;
    }
    m_limit = limit;
    if (limit > 0 && folder != m_folder) {
        m_folder = folder;
        m_worker.submit([at = m_file, folder] { at->use(folder); });
    }
}

void history_store::add(deployment_record record) {
    if (m_limit == 0) {
        return;
    }
    std::unique_lock lock(m_file->mutex);
    if (m_file->waiting.size() >= most_waiting_records) {
        ++m_file->left_out;
        return;
    }
    if (record.packed_receipt.size() > most_waiting_receipts - m_file->waiting_receipts) {
        record.packed_receipt.clear();
    }
    m_file->waiting_receipts += record.packed_receipt.size();
    m_file->waiting.push_back(std::move(record));
    auto const is_first = m_file->waiting.size() == 1; // otherwise a job that writes it is waiting
    lock.unlock();
    if (is_first) {
        m_worker.submit([this, alive = std::weak_ptr(m_alive), &main = m_main, at = m_file] {
            auto const added = at->write();
            boost::asio::post(main, [this, alive, added] {
                if (!alive.expired()) {
                    m_changes += added;
                }
            });
        });
    }
}

void history_store::find(history_filter filter, receiver call) {
    if (m_limit == 0) {
        call(tl::unexpected(error{"the history is off: [history] limit is 0"}));
        return;
    }
    if (m_finding >= most_waiting_requests) {
        call(tl::unexpected(error{"too many requests for the history"}));
        return;
    }
    ++m_finding;
    m_worker.submit([this, alive = std::weak_ptr(m_alive), &main = m_main, at = m_file, filter = std::move(filter),
                     call = std::move(call)]() mutable {
        // The receiver belongs to the main thread.
        boost::asio::post(main, [this, alive, call = std::move(call), text = at->find(filter)] {
            if (!alive.expired()) {
                --m_finding;
                call(text);
            }
        });
    });
}

} // namespace seedbed
