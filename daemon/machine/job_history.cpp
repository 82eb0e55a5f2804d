#include "daemon/machine/job_history.hpp"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

#include <boost/asio/post.hpp>
#include <nlohmann/json.hpp>

#include "core/foundation/format_count.hpp"
#include "core/foundation/printable.hpp"
#include "core/foundation/state_file.hpp"
#include "daemon/log/logging.hpp"
#include "daemon/machine/job_json.hpp"
#include "daemon/text/json_members.hpp"
#include "daemon/text/utc_time.hpp"

namespace seedbed {

namespace {

using nlohmann::ordered_json;

constexpr int history_format = 1;
/// Five times what the longest entries need.
constexpr std::int64_t largest_history_file = 8LL << 20;

ordered_json history_entry(ended_job const& ended) {
    auto const& job = ended.job;
    return {{"machine", printable(ended.machine)},     {"job", job.id},
            {"state", to_string(job.state)},           {"image", printable_or_null(job.order.image)},
            {"device", printable_or_null(job.device)}, {"card", printable_or_null(job.card)},
            {"reason", printable_or_null(job.reason)}, {"started_at", utc_or_null(job.started)},
            {"ended_at", utc_or_null(job.ended)}};
}

std::shared_ptr<ended_job const> parse_history_line(std::string_view line) {
    auto const object = nlohmann::json::parse(line, nullptr, false);
    if (!object.is_object()) {
        return nullptr;
    }
    auto const state = parse_job_state(job_text(object, "state"));
    ended_job ended{job_text(object, "machine"), {job_text(object, "job")}};
    auto& job = ended.job;
    job.ended = parse_utc(job_text(object, "ended_at"));
    if (!state || !is_final(*state) || ended.machine.empty() || job.id.size() != 2 * job_id_bytes || !job.ended) {
        return nullptr;
    }
    job.state = *state;
    job.order.image = job_text(object, "image");
    job.device = job_text(object, "device");
    job.card = job_text(object, "card");
    job.reason = job_text(object, "reason");
    job.started = parse_utc(job_text(object, "started_at"));
    return std::make_shared<ended_job const>(std::move(ended));
}

} // namespace

std::string format_history_file(ended_jobs const& jobs) {
    std::string text;
    for (auto const& each : jobs) {
        text += history_entry(*each).dump() + "\n";
    }
    return text;
}

ended_jobs parse_history_file(std::string const& text, std::size_t& skipped) {
    ended_jobs jobs;
    skipped = 0;
    for (std::string_view rest = text; !rest.empty();) {
        auto const end = std::min(rest.find('\n'), rest.size());
        if (auto ended = parse_history_line(rest.substr(0, end))) {
            jobs.push_back(std::move(ended));
        } else {
            ++skipped;
        }
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (jobs.size() > most_ended_jobs) {
            jobs.pop_front();
        }
    }
    return jobs;
}

std::string to_history_document(ended_jobs const& jobs) {
    auto list = ordered_json::array();
    std::for_each(jobs.rbegin(), jobs.rend(), [&list](auto const& job) { list.push_back(history_entry(*job)); });
    return ordered_json{{"format", history_format}, {"jobs", std::move(list)}}.dump() + "\n";
}

/// The part that the workers share. One of them writes at a time; what is added meanwhile, it writes next.
struct job_history::writer {
    struct pending {
        std::string file;
        ended_jobs jobs;
    };
    std::mutex mutex; ///< guards the members below
    std::optional<pending> next;
    bool writing = false;
    bool failed = false; ///< the last write

    std::optional<pending> take_next() {
        std::scoped_lock const lock(mutex);
        writing = next.has_value();
        return std::exchange(next, std::nullopt);
    }

    void write_all_pending() {
        while (auto const taken = take_next()) {
            auto const saved = save_state_file(taken->file, format_history_file(taken->jobs));
            std::unique_lock lock(mutex);
            auto const is_first = !saved && !failed;
            failed = !saved;
            lock.unlock();
            if (is_first) {
                log_warning({}, "cannot save the history of jobs: " + saved.error().message +
                                    "; it will not survive a restart");
            }
        }
    }
};

job_history::job_history(boost::asio::io_context& main, worker_pool& workers)
    : m_main(main)
    , m_workers(workers)
    , m_writer(std::make_shared<writer>()) {}

job_history::~job_history() = default;

void job_history::open(std::string const& folder) {
    m_file = (std::filesystem::path(folder) / "machine-history.jsonl").string();
    m_loaded = false;
    m_jobs.clear();
    m_workers.submit([this, alive = std::weak_ptr(m_alive), &main = m_main, file = m_file] {
        auto const text = load_state_file(file, largest_history_file);
        std::size_t skipped = 0;
        auto jobs = text && *text ? parse_history_file(**text, skipped) : ended_jobs{};
        auto loaded = text ? result<ended_jobs>(std::move(jobs)) : tl::unexpected(text.error());
        boost::asio::post(main, [this, alive, file, loaded = std::move(loaded), skipped] {
            if (!alive.expired()) {
                on_loaded(file, loaded, skipped);
            }
        });
    });
}

void job_history::on_loaded(std::string const& file, result<ended_jobs> const& loaded, std::size_t skipped) {
    if (file != m_file) {
        return; // another folder was configured meanwhile
    }
    if (!loaded) {
        log_warning({}, "cannot read the history of jobs: " + loaded.error().message +
                            "; it is not saved until the file is repaired or removed, and the daemon restarted");
        return;
    }
    if (skipped > 0) {
        log_warning({}, file + ": leaving out " + format_count(skipped, "damaged line"));
    }
    m_loaded = true;
    auto const added = std::exchange(m_jobs, *loaded);
    for (auto const& each : added) {
        put(each);
    }
    if (!added.empty()) {
        save();
    }
}

void job_history::add(std::string const& machine, machine_job const& job) {
    auto ended = std::make_shared<ended_job>(ended_job{machine, job});
    ended->job.phase.clear();
    ended->job.percent = -1;
    put(std::move(ended));
    if (m_loaded) {
        save();
    }
}

void job_history::put(std::shared_ptr<ended_job const> added) {
    std::erase_if(m_jobs, [&added](auto const& each) { return each->job.id == added->job.id; });
    m_jobs.push_back(std::move(added));
    if (m_jobs.size() > most_ended_jobs) {
        m_jobs.pop_front();
    }
}

void job_history::save() {
    std::unique_lock lock(m_writer->mutex);
    m_writer->next = writer::pending{m_file, m_jobs};
    if (std::exchange(m_writer->writing, true)) {
        return;
    }
    lock.unlock();
    m_workers.submit([shared = m_writer] { shared->write_all_pending(); });
}

} // namespace seedbed
