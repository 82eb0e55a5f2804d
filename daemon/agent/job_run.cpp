#include "daemon/agent/job_run.hpp"

#include <random>
#include <system_error>
#include <thread>
#include <utility>

#include "core/device/disk_rule.hpp"
#include "core/device/file_block_device.hpp"
#include "core/foundation/save_file.hpp"
#include "core/foundation/wall_clock.hpp"
#include "daemon/agent/retry_pause.hpp"
#include "daemon/image/image_opener.hpp"
#include "daemon/service/disk_choice.hpp"

namespace seedbed {

namespace {

using namespace std::chrono_literals;

constexpr unsigned torrent_found = 200;
constexpr int most_torrent_attempts = 8; ///< about two minutes
constexpr auto torrent_timeout = 120s;

/// Removes the .torrent at the end of the job.
class file_remover {
public:
    explicit file_remover(std::filesystem::path const& file)
        : m_file(file) {}
    file_remover(file_remover const&) = delete;
    file_remover& operator=(file_remover const&) = delete;
    ~file_remover() {
        std::error_code ignored; // it stays, and is replaced by the next run of the same job
        std::filesystem::remove(m_file, ignored);
    }

private:
    std::filesystem::path const& m_file;
};

} // namespace

job_run::job_run(agent_settings const& settings, server_link const& server, events told)
    : m_settings(settings)
    , m_server(server)
    , m_told(std::move(told)) {}

job_report job_run::end(job_state state, exit_code code, std::string reason) {
    m_receipt.result.code = code;
    m_receipt.device = m_image.device;
    m_receipt.ended = wall_clock_now();
    m_receipt.taken = std::chrono::steady_clock::now() - m_receipt.began;
    if (!reason.empty()) {
        m_receipt.errors = {reason};
    }
    return {.id = m_job.id,
            .state = state,
            .device = m_image.device,
            .reason = std::move(reason),
            .disk_class = m_class,
            .facts = m_facts,
            .receipt = short_receipt(m_receipt)};
}

job_report job_run::end(job_state state, std::string reason, deployment_report const& report) {
    take_outcome(m_receipt, report, m_plan ? m_plan->layout() : nullptr);
    auto said = end(state, report.code, std::move(reason));
    auto const& image = report.image;
    said.facts.image_bytes = image.device_bytes();
    for (auto const& warning : image.content.warnings) {
        said.facts.warnings += (said.facts.warnings.empty() ? "" : "; ") + warning;
    }
    said.info_hash = image.info_hash ? image.info_hash->to_hex() : "";
    said.verified = state == job_state::done && image.durable && image.verified;
    said.fetched = image.fetched;
    return said;
}

std::optional<job_report> job_run::run(offered_job const& job) {
    m_job = job;
    m_receipt = receipt{};
    m_receipt.started = wall_clock_now();
    m_receipt.torrent = m_server.url() + "/images/" + job.order.image + ".torrent";
    m_receipt.image_name = job.order.image;
    file_remover const remover(m_file);
    if (auto const prepared = prepare(); !prepared) {
        return prepared.error();
    }
    deployment_options options{m_image, m_settings.in_force, m_settings.seeding, {}, m_settings.state_folder};
    options.plan = m_plan;
    options.job = m_job.id;
    deployment running(std::move(options), m_told.show);
    auto const report = running.run();
    switch (report.code) {
    case exit_ok:
        return end(job_state::done, "", report);
    case exit_interrupted:
        return std::nullopt;
    case exit_refused:
        return end(job_state::refused, report.image.failure, report);
    default:
        return end(job_state::failed,
                   report.image.failure.empty() ? "exit status " + std::to_string(report.code) : report.image.failure,
                   report);
    }
}

result<std::string, job_report> job_run::load_torrent() {
    auto const target = "/images/" + m_job.order.image + ".torrent";
    http_client::limits limits;
    limits.timeout = torrent_timeout;
    limits.body_bytes = static_cast<std::uint64_t>(m_settings.in_force.memory.max_torrent);
    retry_pause pause;
    std::random_device random;
    std::string reason;
    for (int attempt = 0; attempt < most_torrent_attempts; ++attempt) {
        if (attempt > 0) {
            std::this_thread::sleep_for(pause.next(std::uniform_real_distribution<>()(random)));
        }
        auto answer = m_server.get(target, limits);
        if (answer && answer->status == torrent_found) {
            return std::move(answer->body);
        }
        reason = answer ? "HTTP status " + std::to_string(answer->status) : answer.error().message;
    }
    return tl::unexpected(end(job_state::failed, exit_failed, m_server.url() + target + ": " + reason));
}

result<void, job_report> job_run::prepare() {
    auto const refuse = [this](std::string reason) {
        return tl::unexpected(end(job_state::refused, exit_refused, std::move(reason)));
    };
    auto const bytes = load_torrent();
    if (!bytes) {
        return tl::unexpected(bytes.error());
    }
    std::error_code failed;
    std::filesystem::create_directories(m_settings.state_folder, failed);
    m_file = std::filesystem::path(m_settings.state_folder) / ("agent-" + m_job.id + ".torrent");
    if (auto const saved = save_file(m_file, *bytes, true, 0600); !saved) {
        return tl::unexpected(end(job_state::failed, exit_failed, saved.error().message));
    }
    torrent_limits limits;
    limits.file_size = m_settings.in_force.memory.max_torrent;
    auto loaded = load_any_torrent(m_file, limits);
    if (!loaded) {
        return refuse(loaded.error().message);
    }
    m_torrent = std::move(*loaded);
    take_torrent(m_receipt, *m_torrent);
    if (!m_torrent->packed && (m_job.order.grow || m_job.order.new_ids)) {
        return refuse(m_torrent->name + " is a raw image: grow and new_ids are for packed images of disks");
    }
    m_image = image_settings{};
    m_class.reset();
    m_facts = {};
    m_image.name = m_job.order.image;
    m_image.torrent = m_file.string();
    m_image.mode = image_mode::deploy;
    m_image.trackers = {m_server.url() + "/announce"};

    auto const rule = parse_disk_rule(m_job.order.disk);
    auto const chosen =
        rule ? choose_target(*rule, m_image, *m_torrent, m_job.order.grow) : tl::unexpected(rule.error());
    if (!chosen) {
        return refuse(chosen.error().message);
    }
    m_image.device = *chosen;
    auto const overview = look_over_device(m_image.device);
    if (!overview) {
        return refuse(overview.error().message);
    }
    m_class = detect_storage_class(m_image.device).cls;
    m_facts.model = overview->model;
    m_facts.serial = overview->serial;
    m_facts.disk_bytes = overview->size;
    m_receipt.overview = *overview;
    m_told.on_device(*overview, *m_class, *m_torrent);
    if (auto const checked = check_block_device(m_image.device, requirements_of(m_image, *m_torrent)); !checked) {
        return refuse(checked.error().message);
    }
    if (m_torrent->packed) {
        auto planned = packed_plan::make(*m_torrent->packed, m_image.device, {m_job.order.grow, m_job.order.new_ids});
        if (!planned) {
            return refuse(planned.error().message);
        }
        for (auto const& note : planned->notes()) {
            m_told.print(note);
        }
        m_plan = std::make_shared<packed_plan const>(std::move(*planned));
    }
    return {};
}

} // namespace seedbed
