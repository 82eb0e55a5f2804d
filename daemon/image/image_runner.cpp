#include "daemon/image/image_runner.hpp"

#include <cassert>
#include <utility>

#include <boost/asio/post.hpp>
#include <spdlog/fmt/fmt.h>

#include "daemon/image/checkpoint_keeper.hpp"
#include "daemon/image/deploy_run.hpp"
#include "daemon/image/seed_run.hpp"
#include "daemon/image/status_line.hpp"
#include "daemon/log/logging.hpp"
#include "daemon/swarm/torrent_trackers.hpp"

namespace seedbed {

image_runner::image_runner(image_settings wanted, image_services services)
    : m_settings(std::move(wanted))
    , m_services(std::move(services))
    , m_calls(m_services.main) {}

image_runner::~image_runner() = default;

double image_runner::age_seconds() const {
    return std::chrono::duration<double>(clock::now() - m_started).count();
}

double image_runner::phase_seconds() const {
    return std::chrono::duration<double>(clock::now() - m_phase_began).count();
}

std::map<image_state, double> image_runner::seconds() const {
    auto all = m_seconds;
    if (m_started != clock::time_point()) {
        all[m_state] += phase_seconds();
    }
    return all;
}

std::string image_runner::receipt(disk_layout const* written) const {
    return m_services.make_receipt ? m_services.make_receipt({status(), seconds(), written}) : std::string();
}

io_profile const& image_runner::profile() const {
    return m_services.settings().profile(m_settings.profile.value_or(m_detected));
}

// --- states

void image_runner::enter(image_state next) {
    auto const legal = is_legal(m_state, next);
    assert(legal);
    if (!legal) {
        fail({failure_kind::internal,
              fmt::format("internal error: an image that is {} cannot be {}", to_string(m_state), to_string(next))});
        return;
    }
    set_state(next);
}

void image_runner::set_state(image_state next) {
    m_seconds = seconds();
    m_state = next;
    m_phase_began = clock::now();
    if (m_run) {
        m_run->on_state();
    }
    m_services.on_change();
}

void image_runner::fail(image_failure const& why) {
    if (has_ended(m_state)) {
        return;
    }
    log_error(fields(), "failed: " + why.reason);
    m_failure = why;
    if (m_run) {
        m_run->on_failed(why.reason);
    }
    enter(image_state::failed);
    leave_swarm();
}

// --- opening

void image_runner::start() {
    set_state(image_state::opening);
    m_started = m_phase_began;
    auto const use_checkpoint =
        m_settings.check == target_check::resume && keeps_checkpoints(m_settings, m_services.settings());
    m_device.open(
        m_settings, use_checkpoint, [this](result<opened_image, image_failure> const& outcome) { on_opened(outcome); },
        [this] { on_device_closed(); });
}

void image_runner::on_opened(result<opened_image, image_failure> const& outcome) {
    if (!outcome) {
        if (m_state == image_state::closing) {
            on_device_closed();
        } else {
            m_failure = outcome.error();
            report_refusal(outcome.error());
            fail(outcome.error());
        }
        return;
    }
    m_stamp = outcome->stamp;
    m_torrent_file = outcome->torrent_file;
    m_detected = outcome->decision.cls;
    m_facts = outcome->facts;
    m_info_hash = image()->torrent().info_hash;
    if (m_state == image_state::closing) {
        m_device.release();
        return;
    }
    m_engine = describe_engine(*image(), profile());
    m_open_warnings = outcome->wiped.warnings;
    log_opened(fields(), m_settings, *outcome, profile());
    image()->set_profile(profile()); // a reload may have changed it meanwhile
    image()->set_error_handler(m_calls.posted([this](io_error const& error) { fail(to_failure(error)); }));
    image_context& self = *this;
    if (m_settings.mode == image_mode::deploy) {
        m_run = std::make_unique<deploy_run>(self, outcome->resume, outcome->plan);
    } else {
        m_run = std::make_unique<seed_run>(self, outcome->identity);
    }
    m_run->begin();
}

void image_runner::report_refusal(image_failure const& why) {
    if (m_services.reports == nullptr || m_settings.mode != image_mode::deploy || !why.report_to) {
        return;
    }
    host_report report;
    report.outcome = host_report::outcome_kind::refused;
    report.reason = why.reason;
    identify(report, m_services.job);
    report.facts = why.report_to->facts;
    report.receipt = receipt(nullptr);
    auto urls = why.report_to->announce_urls;
    urls.insert(urls.end(), m_settings.trackers.begin(), m_settings.trackers.end());
    m_services.reports->send(m_settings.name, why.report_to->info_hash, urls, {}, report);
}

torrent_spec image_runner::make_spec() const {
    torrent_spec spec;
    spec.torrent = std::shared_ptr<image_torrent const>(image(), &image()->torrent());
    spec.mode = m_settings.mode;
    spec.name = m_settings.name;
    spec.peers = m_settings.peers;
    spec.trackers = m_settings.trackers;
    spec.expected = m_settings.fleet.expect_hosts;
    spec.upload_limit = m_settings.upload_limit;
    spec.secret = m_services.secret;
    spec.record = m_services.record;
    if (m_settings.has_fleet() && m_services.report_port) {
        spec.report_port = m_services.report_port();
    }
    return spec;
}

// --- events of the swarm

void image_runner::on_checked() {
    m_run->on_checked();
}

void image_runner::on_complete() {
    m_run->on_complete();
}

void image_runner::on_content_differs() {
    if (!has_ended(m_state)) {
        m_run->on_content_differs();
    }
}

void image_runner::on_pieces(std::vector<bool> const& written) {
    m_run->on_pieces(written);
}

void image_runner::on_piece_damaged(int piece) {
    m_run->on_piece_damaged(piece);
}

void image_runner::on_peer_banned(boost::asio::ip::tcp::endpoint const& peer, int other_sources) {
    if (!has_ended(m_state)) {
        m_run->on_peer_banned(peer, other_sources);
    }
}

void image_runner::on_torrent_error(std::string const& reason) {
    fail({failure_kind::download, reason});
}

void image_runner::on_progress(torrent_progress const& progress) {
    m_progress = progress;
    m_run->on_progress();
}

void image_runner::on_removed() {
    if (m_membership.on_removed() == swarm_membership::phase::rejoining) {
        m_run->rejoin();
        return;
    }
    if (!has_ended(m_state)) {
        fail({failure_kind::download, "libtorrent removed the torrent"});
        return;
    }
    wind_up();
}

// --- the end

void image_runner::close(std::function<void()> closed) {
    m_closed = std::move(closed);
    if (m_services.reports != nullptr) {
        m_services.reports->forget(m_settings.name);
    }
    auto const failed = m_state == image_state::failed;
    if (!failed) {
        enter(image_state::closing);
    }
    switch (m_device.current()) {
    case device_session::phase::unopened:
    case device_session::phase::closed:
        on_device_closed();
        break;
    case device_session::phase::open:
        if (!failed) { // otherwise it is already leaving
            leave_swarm();
        }
        break;
    case device_session::phase::opening:
    case device_session::phase::closing:
        break; // the worker's answer continues the closing
    }
}

void image_runner::leave_swarm() {
    m_torrent_file.reset();
    if (m_run) {
        m_run->cancel();
    }
    if (!m_membership.leave()) {
        wind_up();
    }
}

void image_runner::wind_up() {
    if (!m_run || m_state == image_state::failed) {
        m_device.release();
        return;
    }
    m_run->finish([this](result<void, io_error> const& outcome) {
        if (!outcome) {
            log_error(fields(), "the last writes may be lost: " + outcome.error().message());
            m_failure = {failure_kind::flush, outcome.error().message()};
        }
        m_device.release();
    });
}

void image_runner::on_device_closed() {
    if (!m_closed) {
        return; // a failed image remains listed
    }
    if (m_state != image_state::failed) {
        log_info(fields(), "closed");
    }
    enter(image_state::closed);
    std::exchange(m_closed, nullptr)();
}

// --- while the image is open

void image_runner::update(image_settings const& wanted) {
    m_settings = wanted;
    apply_profile();
    m_membership.update(wanted);
    if (m_run) {
        m_run->on_settings();
    }
}

void image_runner::apply_profile() {
    if (image()) {
        image()->set_profile(profile());
    }
}

void image_runner::apply_resume() {
    if (m_run) {
        m_run->on_resume_interval();
    }
}

std::vector<info_hash> image_runner::announced_hashes() const {
    return image() ? seedbed::announced_hashes(image()->torrent()) : std::vector<seedbed::info_hash>();
}

std::optional<worker_pool::progress> image_runner::queue_progress() const {
    if (auto const since = m_device.opening_since()) {
        return worker_pool::progress{0, 1, *since};
    }
    return image() ? std::optional(image()->progress()) : std::nullopt;
}

std::optional<catalog_image> image_runner::in_catalog() const {
    if (m_state != image_state::seeding || !image() || !m_torrent_file) {
        return std::nullopt;
    }
    auto const& torrent = image()->torrent();
    auto const size = torrent.extents.total_size();
    catalog_image listed{m_settings.name, torrent.traits.kind, size, {}, torrent.info_hash, m_torrent_file};
    if (torrent.packed) {
        listed.bytes = torrent.packed->index.used().value();
        listed.packed_bytes = size;
    }
    return listed;
}

bool image_runner::is_moving() const {
    switch (m_state) {
    case image_state::failed:
    case image_state::closed:
        return false;
    case image_state::seeding:
        return m_progress.peers > 0;
    default:
        return true;
    }
}

double image_runner::phase_fraction() const {
    auto const reads = m_state == image_state::checking && !m_membership.inside(); // see deploy_run::read_claims()
    if (m_state != image_state::verifying && !reads) {
        return m_progress.fraction;
    }
    auto const total = image() ? image()->stored_bytes() : 0;
    auto const done = m_run ? m_run->verified_bytes() : 0;
    return total == 0 ? 0 : static_cast<double>(done) / static_cast<double>(total);
}

image_status image_runner::status() const {
    image_status status;
    status.name = m_settings.name;
    status.device = m_settings.device;
    status.mode = m_settings.mode;
    status.state = m_state;
    status.info_hash = m_info_hash;
    status.failure = m_failure.reason;
    status.failed_at = m_failure.kind;
    status.guard = m_failure.guard;
    status.engine = m_engine;
    status.fraction = phase_fraction();
    status.bytes_left = m_progress.bytes_left;
    status.downloaded = m_progress.downloaded;
    status.uploaded = m_progress.uploaded;
    auto const moved = m_device.moved();
    status.device_read = moved.read;
    status.device_written = moved.written;
    status.fetched = moved.fetched;
    auto const proof = m_run ? m_run->proof() : image_proof::none;
    status.durable = proof != image_proof::none;
    status.verified = proof == image_proof::verified;
    status.content = m_run ? m_run->content() : written_content{};
    status.content.warnings.insert(status.content.warnings.begin(), m_open_warnings.begin(), m_open_warnings.end());
    if (m_run) {
        status.damage = m_run->damage();
    }
    status.age_seconds = age_seconds();
    status.phase_seconds = phase_seconds();
    if (m_membership.inside()) {
        status.download_rate = m_progress.download_rate;
        status.upload_rate = m_progress.upload_rate;
        status.peers = m_progress.peers;
        status.obtainable = m_progress.obtainable;
    }
    if (image()) {
        status.total_bytes = image()->torrent().extents.total_size();
        if (auto const& packed = image()->torrent().packed) {
            status.unpacked_bytes = packed->index.used().value();
        }
        status.piece_length = image()->torrent().piece_length;
        status.piece_count = image()->torrent().piece_count;
        status.detected = m_detected;
        status.profile = m_settings.profile.value_or(m_detected);
    }
    return status;
}

void image_runner::request_peers(worker_pool& worker, std::function<void(std::vector<peer_status> const&)> call) {
    auto answer = m_calls.posted([call](std::vector<peer_status> const& peers) { call(peers); });
    if (!m_membership.request_peers(worker, std::move(answer))) {
        boost::asio::post(m_services.main, [call = std::move(call)] { call({}); });
    }
}

void image_runner::log_summary() {
    auto const moved = m_progress.downloaded + m_progress.uploaded;
    auto const idle = m_state == image_state::seeding ? moved == std::exchange(m_summarised, moved) : !is_moving();
    if (!idle) {
        log_info(fields(), summary_line(status(), m_services.shared->cache().stats()));
    }
}

} // namespace seedbed
