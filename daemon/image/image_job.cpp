#include "daemon/image/image_job.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <sys/stat.h>

#include <spdlog/fmt/fmt.h>

#include "core/device/file_block_device.hpp"
#include "core/device/storage_class.hpp"
#include "core/foundation/byte_size.hpp"
#include "daemon/swarm/torrent_trackers.hpp"

namespace seedbed {

namespace {

std::string rate(std::int64_t bytes, double seconds) {
    auto const per_second = static_cast<double>(bytes) / std::max(seconds, 1e-3);
    return fmt::format("{:.1f} MiB/s", per_second / (1 << 20));
}

std::string size(std::int64_t bytes) {
    return format_byte_size(bytes);
}

/// Never says 100 before the end.
int percent(double fraction) {
    return static_cast<int>(std::clamp(fraction, 0.0, 1.0) * 100);
}

/// "4 s", "3 min 20 s", "2 h 5 min".
std::string duration(double seconds) {
    auto const whole = static_cast<std::int64_t>(std::llround(seconds));
    if (whole < 60) {
        return fmt::format("{} s", whole);
    }
    if (whole < 3600) {
        return fmt::format("{} min {} s", whole / 60, whole % 60);
    }
    return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

std::string peers(int count) {
    return fmt::format("{} peer{}", count, count == 1 ? "" : "s");
}

/// "auto" goes past the page cache on block devices: a file's blocks are the business of its file system.
bool is_block_device(std::string const& path) {
    struct ::stat st = {};
    return ::stat(path.c_str(), &st) == 0 && S_ISBLK(st.st_mode);
}

std::string describe_engine(served_image& image, io_profile const& profile) {
    auto const raw = image.writable_device().raw();
    std::string const way = raw && raw->direct >= 0 ? "direct I/O" : "page cache";
    if (image.io().engine() == std::string_view("io_uring")) {
        auto const refused = image.io().memory_refused();
        return fmt::format("io_uring, depth {}, {}{}", profile.queue_depth, way,
                           refused != 0 ? ", memory not locked (" + errno_name(refused) + ")" : "");
    }
    auto const refused = image.io().ring_refused();
    return fmt::format("{} threads, {}{}", profile.threads, way,
                       refused != 0 ? ", since io_uring is refused (" + errno_name(refused) + ")" : "");
}

} // namespace

char const* to_string(image_state state) noexcept {
    switch (state) {
    case image_state::opening:
        return "opening";
    case image_state::checking:
        return "checking";
    case image_state::downloading:
        return "downloading";
    case image_state::flushing:
        return "flushing";
    case image_state::verifying:
        return "verifying";
    case image_state::seeding:
        return "seeding";
    case image_state::failed:
        return "failed";
    case image_state::closing:
        return "closing";
    case image_state::closed:
        return "closed";
    }
    return "unknown";
}

file_stamp stamp_of(std::string const& path) {
    struct ::stat st = {};
    if (::stat(path.c_str(), &st) != 0) {
        return {};
    }
    return {st.st_dev, st.st_ino, st.st_size, st.st_mtim.tv_sec * 1'000'000'000 + st.st_mtim.tv_nsec};
}

device_requirements requirements_of(image_settings const& settings, image_torrent const& torrent) {
    device_requirements requirements;
    requirements.writable = settings.mode == image_mode::deploy;
    requirements.min_size = torrent.extents.device_end();
    requirements.allow_mounted = settings.allow_mounted;
    requirements.serial = settings.serial;
    requirements.size = settings.size;
    return requirements;
}

struct image_job::opened_image {
    std::shared_ptr<served_image> image;
    file_stamp stamp;
    storage_class_decision decision;
    device_identity identity;
    resume_point resume;
};

image_job::image_job(image_settings wanted, image_services services)
    : m_settings(std::move(wanted))
    , m_services(std::move(services))
    , m_checkpoint_timer(m_services.main)
    , m_source_timer(m_services.main) {}

image_job::~image_job() = default;

log_fields image_job::fields() const {
    return {m_settings.name, m_settings.device, {}};
}

void image_job::set_state(image_state state) {
    m_state = state;
    m_phase_began = clock::now();
    arm_checkpoint_timer();
    arm_source_timer();
    m_services.on_change();
}

double image_job::phase_seconds() const {
    return std::chrono::duration<double>(clock::now() - m_phase_began).count();
}

// --- opening

void image_job::start() {
    m_started = clock::now();
    set_state(image_state::opening);
    m_opening = true;
    auto opened =
        on_main([](image_job& self, result<opened_image, failure> const& outcome) { self.on_opened(outcome); });
    auto closed = on_main([](image_job& self) { self.on_device_closed(); });
    auto const& in_force = m_services.settings();
    m_services.setup.submit([settings = m_settings, max_torrent = in_force.memory.max_torrent,
                             profiles = in_force.profiles, shared = m_services.shared, &setup = m_services.setup,
                             resume = m_settings.check == target_check::resume && keeps_checkpoints(),
                             open_device = m_services.open_device, &store = m_services.checkpoints,
                             opened = std::move(opened), closed = std::move(closed)] {
        opened_image found;
        found.stamp = stamp_of(settings.torrent);
        torrent_limits limits;
        limits.file_size = max_torrent;
        auto torrent = load_image_torrent(settings.torrent, limits);
        if (!torrent) {
            opened(result<opened_image, failure>(
                tl::make_unexpected(failure{failure_kind::torrent, torrent.error().message})));
            return;
        }
        found.decision = detect_storage_class(settings.device);
        auto const& profile = profiles[static_cast<std::size_t>(settings.profile.value_or(found.decision.cls))];
        auto requirements = requirements_of(settings, *torrent);
        requirements.direct_io = profile.direct_io == direct_io_mode::on ||
                                 (profile.direct_io == direct_io_mode::automatic && is_block_device(settings.device));
        auto device = open_device(settings.device, requirements);
        if (!device) {
            opened(result<opened_image, failure>(
                tl::make_unexpected(failure{failure_kind::guard, device.error().message, device.error().guard})));
            return;
        }
        // Here and not on the main thread: registering the pool with a ring pins all of it.
        auto made = shared->make_image(std::move(*torrent), std::move(*device), profile);
        if (!made) {
            opened(result<opened_image, failure>(
                tl::make_unexpected(failure{failure_kind::internal, made.error().message})));
            return;
        }
        // The last owner may be the network thread: a worker closes the device.
        found.image = std::shared_ptr<served_image>(made->release(), [&setup, closed](served_image* image) {
            setup.submit([image, closed] {
                delete image;
                closed();
            });
        });
        // What can not be looked at is not known again: no checkpoint fits it, and no change of it is seen.
        found.identity = identify_device(settings.device).value_or(device_identity{});
        if (resume) {
            found.resume = find_resume_point(store, found.image->torrent(), settings.device);
        }
        if (auto const added = shared->add_image(found.image); !added) {
            opened(result<opened_image, failure>(
                tl::make_unexpected(failure{failure_kind::internal, added.error().message})));
            return;
        }
        opened(result<opened_image, failure>(std::move(found)));
    });
}

void image_job::on_opened(result<opened_image, failure> const& outcome) {
    m_opening = false;
    if (!outcome) {
        if (m_closed) {
            on_device_closed();
            return;
        }
        fail(outcome.error());
        return;
    }
    m_image = outcome->image;
    m_known = true;
    m_device_open = true;
    m_stamp = outcome->stamp;
    m_detected = outcome->decision.cls;
    m_info_hash = m_image->torrent().info_hash;
    m_identity = outcome->identity;
    m_resume = outcome->resume;
    if (m_closed) {
        release_image();
        return;
    }
    auto const& extents = m_image->torrent().extents;
    log_info(fields(), fmt::format("{} {}: {} in {} extent{}, info-hash {}",
                                   m_settings.mode == image_mode::seed ? "seed from" : "deploy to", m_settings.device,
                                   size(extents.total_size()), extents.extents().size(),
                                   extents.extents().size() == 1 ? "" : "s", m_info_hash));
    auto const profile = present_profile();
    m_engine = describe_engine(*m_image, profile);
    auto const override_note =
        m_settings.profile && *m_settings.profile != m_detected
            ? fmt::format("; the configuration asks for the profile of {}", display_name(*m_settings.profile))
            : "";
    log_info(fields(), fmt::format("{}: {}, because {}{}; {}", m_settings.device, display_name(m_detected),
                                   outcome->decision.evidence, override_note, m_engine));
    if (int const code = m_image->io().ring_refused(); code != 0 && profile.io_engine == io_engine_kind::io_uring) {
        log_warning(fields(), "io_uring is not to be had here (" + errno_name(code) + "), using threads");
    }
    if (auto const raw = m_image->writable_device().raw();
        profile.direct_io == direct_io_mode::on && (!raw || raw->direct < 0)) {
        log_warning(fields(), "direct I/O is not to be had here, using the page cache");
    }
    m_image->set_profile(profile); // a reload may have changed it since
    m_image->set_error_handler(on_main([](image_job& self, io_error const& error) { self.fail(error); }));
    join_swarm();
}

torrent_spec image_job::make_entry() {
    torrent_spec entry;
    entry.torrent = std::shared_ptr<image_torrent const>(m_image, &m_image->torrent());
    entry.mode = m_settings.mode;
    entry.name = m_settings.name;
    entry.peers = m_settings.peers;
    entry.trackers = m_settings.trackers;
    entry.upload_limit = m_settings.upload_limit;
    if (m_settings.has_fleet() && m_services.report_port) {
        entry.report_port = m_services.report_port();
    }
    if (m_settings.mode == image_mode::deploy) {
        entry.on_report_port = [weak = weak_from_this()](std::string const& host, std::uint16_t port) {
            if (auto const self = weak.lock()) {
                auto const literal = host.find(':') == std::string::npos ? host : "[" + host + "]";
                self->m_report_urls.insert("http://" + literal + ":" + std::to_string(port) + "/announce");
            }
        };
    }
    return entry;
}

void image_job::join_swarm() {
    if (m_settings.mode == image_mode::deploy) {
        join_as_target();
    } else if (m_settings.verify_source == source_check::full) {
        check_source();
    } else {
        join_as_seed();
    }
}

// --- what the swarm tells

void image_job::on_checked() {
    if (m_state != image_state::checking) {
        return;
    }
    m_check_to_report = true; // when the numbers come, with the next progress
    m_services.swarm.request_progress();
}

void image_job::report_check() {
    if (!std::exchange(m_check_to_report, false)) {
        return;
    }
    auto const total = m_image->torrent().extents.total_size();
    auto missing = m_progress.bytes_left;
    if (m_resume.found) {
        auto const there = bytes_of(m_resume.found->pieces);
        missing = total - there;
        log_info(fields(),
                 fmt::format("resumed: {} of {} were there: {} to fetch", size(there), size(total), size(missing)));
    } else if (m_settings.check == target_check::none && !m_checked_again) {
        log_info(fields(), fmt::format("not checked (check = \"none\"): {} to fetch", size(total)));
    } else {
        auto const seconds = phase_seconds();
        log_info(fields(), fmt::format("checked {} in {:.1f} s ({}): {} to fetch", size(total), seconds,
                                       rate(total, seconds), size(missing)));
    }
    m_progress.bytes_left = missing;
    if (missing > 0) {
        log_info(fields(), "downloading");
    }
    m_transfer_began = clock::now();
    set_state(image_state::downloading);
}

void image_job::on_progress(torrent_progress const& progress) {
    m_progress = progress;
    steer_super_seeding();
    if (m_state == image_state::checking && progress.current == torrent_progress::phase::downloading) {
        report_check();
    }
}

void image_job::on_complete() {
    if (m_state != image_state::checking && m_state != image_state::downloading) {
        return;
    }
    if (m_state == image_state::checking) {
        m_check_to_report = true;
        m_progress.bytes_left = m_image->bytes_taken(); // so much was not there
        report_check();
    }
    auto const fetched = m_image->bytes_taken();
    auto const seconds = phase_seconds();
    log_info(fields(), fetched == 0 ? "downloaded: nothing had to be fetched"
                                    : fmt::format("downloaded {} in {:.1f} s ({})", size(fetched), seconds,
                                                  rate(fetched, seconds)));
    begin_flush();
}

void image_job::on_content_differs() {
    auto const served =
        m_state == image_state::flushing || m_state == image_state::verifying || m_state == image_state::seeding;
    if (!served) {
        return; // it leaves the swarm already
    }
    if (m_settings.mode == image_mode::deploy) {
        check_again("does not hold what the checkpoint says");
        return;
    }
    fail(failure_kind::content, m_settings.device + ": does not hold what the torrent says; not served any more");
}

void image_job::on_piece_damaged(int piece) {
    if (!m_image) {
        return;
    }
    // A peer has sent something else, or this disk has lost what it was given: the kernel drops pages that it could not
    // write, and only a flush tells.
    auto flushed = on_main([piece](image_job& self, result<void, io_error> const& outcome) {
        if (!outcome) {
            self.fail(outcome.error());
        } else {
            log_warning(self.fields(), fmt::format("piece {} came damaged and is fetched again", piece));
        }
    });
    m_image->calls().submit([image = m_image, flushed = std::move(flushed)] { flushed(image->flush()); });
}

void image_job::on_torrent_error(std::string const& reason) {
    fail(failure_kind::download, reason);
}

// --- the end of a deployment

void image_job::begin_flush() {
    set_state(image_state::flushing);
    auto flushed = on_main([](image_job& self, result<void, io_error> const& outcome, clock::time_point written) {
        self.on_flushed(outcome, written);
    });
    // The queue's jobs and the dirty blocks are part of the image: a pointer that owned it would make a circle.
    m_image->io().when_written([image = std::weak_ptr(m_image), flushed = std::move(flushed)] {
        auto const alive = image.lock();
        if (!alive) {
            return;
        }
        auto const written = clock::now();
        alive->calls().submit([alive, written, flushed] { flushed(alive->flush(), written); });
    });
}

void image_job::on_flushed(result<void, io_error> const& outcome, clock::time_point written) {
    if (m_state != image_state::flushing) {
        return;
    }
    if (!outcome) {
        fail(outcome.error());
        return;
    }
    m_durable = true;
    auto const bytes = m_image->bytes_written();
    auto const to_written = std::chrono::duration<double>(written - m_phase_began).count();
    auto const to_durable = std::chrono::duration<double>(clock::now() - written).count();
    auto const to_all = std::chrono::duration<double>(clock::now() - m_transfer_began).count();
    log_info(fields(), fmt::format("written: the last block {:.1f} s after it came", to_written));
    log_info(fields(), fmt::format("durable: flushed in {:.1f} s; {} from peer to disk in {:.1f} s ({})", to_durable,
                                   size(bytes), to_all, rate(bytes, to_all)));
    save_checkpoint(all_pieces(), false, true, {});
    if (m_settings.verify) {
        begin_verify();
    } else {
        finish_deploy();
    }
}

void image_job::begin_verify() {
    log_info(fields(), "verifying: reading everything back from the device");
    set_state(image_state::verifying);
    auto const profile = present_profile();
    auto const parallel = std::min(profile.threads, m_services.shared->hash_workers().threads());
    m_verifier = image_verifier::start(
        m_image, m_services.shared->hash_workers(), {parallel, profile.elevator},
        on_main([](image_job& self, image_verifier::outcome const& outcome) { self.on_verified(outcome); }));
}

void image_job::on_verified(image_verifier::outcome const& outcome) {
    if (outcome.cancelled || m_state != image_state::verifying) {
        return;
    }
    m_verifier.reset();
    if (outcome.read_failed) {
        fail(failure_kind::verify, outcome.read_failed->message());
        return;
    }
    if (!outcome.ok() && m_resume.found) {
        check_again(
            fmt::format("{} of {} pieces differ on the device", outcome.pieces.size(), m_image->torrent().piece_count));
        return;
    }
    if (!outcome.ok()) {
        remove_checkpoint(); // or the next start would go on from what is not there
        auto const& first = outcome.differing.front();
        fail(
            failure_kind::verify,
            fmt::format("{}: not verified: {} of {} pieces differ on the device, the first one at offset {}, length {}",
                        m_settings.device, outcome.pieces.size(), m_image->torrent().piece_count, first.device_offset,
                        first.length));
        return;
    }
    m_verified = true;
    auto const total = m_image->torrent().extents.total_size();
    auto const seconds = phase_seconds();
    log_info(fields(), fmt::format("verified {} in {:.1f} s ({})", size(total), seconds, rate(total, seconds)));
    finish_deploy();
}

void image_job::finish_deploy() {
    auto const seconds = std::chrono::duration<double>(clock::now() - m_started).count();
    auto const total = m_image->torrent().extents.total_size();
    log_info(fields(), fmt::format("done: {}, of which {} fetched, written, durable and {} in {:.1f} s ({})",
                                   size(total), size(m_image->bytes_written()),
                                   m_settings.verify ? "verified" : "not verified (verify = false)", seconds,
                                   rate(total, seconds)));
    m_done_recorded = true;
    save_checkpoint(all_pieces(), m_settings.verify, true, {});
    using outcome = host_report::outcome_kind;
    send_report(m_verified ? outcome::verified : outcome::durable, "");
    log_info(fields(), "seeding");
    set_state(image_state::seeding);
}

void image_job::send_report(host_report::outcome_kind outcome, std::string const& reason) {
    if (m_services.reports == nullptr || m_settings.mode != image_mode::deploy || !m_image) {
        return;
    }
    host_report report;
    report.outcome = outcome;
    report.reason = reason;
    report.taken = std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - m_started);
    report.bytes = m_image->bytes_taken();
    auto urls = announce_urls(m_image->torrent());
    urls.insert(urls.end(), m_settings.trackers.begin(), m_settings.trackers.end());
    urls.insert(urls.end(), m_report_urls.begin(), m_report_urls.end());
    m_services.reports->send(m_settings.name, m_info_hash, urls, report);
}

std::vector<std::string> image_job::announced_hashes() const {
    return m_image ? seedbed::announced_hashes(m_image->torrent()) : std::vector<std::string>();
}

// --- failing and closing

namespace {

failure_kind kind_of(io_operation operation) {
    switch (operation) {
    case io_operation::write:
        return failure_kind::write;
    case io_operation::flush:
        return failure_kind::flush;
    default:
        return failure_kind::read;
    }
}

} // namespace

void image_job::fail(io_error const& error) {
    fail(kind_of(error.operation), error.message());
}

void image_job::fail(failure const& why) {
    if (m_state == image_state::failed || m_state == image_state::closing || m_state == image_state::closed) {
        return; // the first reason is the one that counts; what follows comes from it
    }
    log_error(fields(), "failed: " + why.reason);
    m_failure = why;
    send_report(host_report::outcome_kind::failed, why.reason);
    set_state(image_state::failed);
    leave_swarm();
}

void image_job::close(std::function<void()> closed) {
    m_closed = std::move(closed);
    if (m_services.reports != nullptr) {
        m_services.reports->forget(m_settings.name);
    }
    auto const failed = m_state == image_state::failed;
    if (!failed) {
        set_state(image_state::closing);
    }
    if (m_opening || (failed && m_device_open)) {
        return; // goes on when the worker is done
    }
    if (!m_device_open) {
        on_device_closed();
        return;
    }
    leave_swarm();
}

void image_job::leave_swarm() {
    if (m_verifier) {
        std::exchange(m_verifier, nullptr)->cancel();
    }
    if (m_in_swarm) {
        m_services.swarm.remove(*std::exchange(m_in_swarm, std::nullopt));
        return; // goes on in on_removed()
    }
    if (m_rejoining) {
        return; // the same
    }
    wind_up();
}

void image_job::on_removed() {
    m_in_swarm.reset();
    if (std::exchange(m_rejoining, false) && m_state == image_state::checking) {
        m_in_swarm = m_services.swarm.add(make_entry(), *this);
        return;
    }
    if (m_state != image_state::failed && m_state != image_state::closing) {
        fail(failure_kind::download, "libtorrent has dropped the torrent");
        return;
    }
    wind_up();
}

void image_job::wind_up() {
    if (!m_image) {
        return;
    }
    if (m_state == image_state::failed || m_image->device().read_only()) {
        release_image();
        return;
    }
    auto written = on_main([](image_job& self) {
        auto const pieces = self.m_done_recorded ? std::vector<bool>{} : self.m_pieces;
        self.save_checkpoint(pieces, false, true, [](image_job& job, result<void, io_error> const& outcome) {
            if (!outcome) {
                log_error(job.fields(), "what was written last may be lost: " + outcome.error().message());
                job.m_failure = {failure_kind::flush, outcome.error().message()};
            }
            job.release_image();
        });
    });
    m_image->io().when_written([written = std::move(written)] { written(); });
}

void image_job::release_image() {
    if (m_image && std::exchange(m_known, false)) {
        m_services.shared->remove_image(backend::key_of(m_image->torrent()));
    }
    if (m_image) {
        m_device_read = m_image->bytes_read();
        m_device_written = m_image->bytes_written();
        m_fetched = m_image->bytes_taken();
    }
    m_image.reset();
}

void image_job::on_device_closed() {
    m_device_open = false;
    if (!m_closed) {
        return;
    }
    if (m_state != image_state::failed) {
        log_info(fields(), "closed");
    }
    set_state(image_state::closed);
    std::exchange(m_closed, nullptr)();
}

// --- while it runs

void image_job::update(image_settings const& wanted) {
    m_settings = wanted;
    apply_profile();
    if (m_in_swarm) {
        m_services.swarm.update(*m_in_swarm, wanted.peers, wanted.trackers);
        m_services.swarm.set_upload_limit(*m_in_swarm, wanted.upload_limit);
        steer_super_seeding();
    }
}

void image_job::apply_profile() {
    if (m_image) {
        m_image->set_profile(present_profile());
    }
}

std::optional<worker_pool::progress> image_job::queue_progress() const {
    return m_image ? std::optional(m_image->progress()) : std::nullopt;
}

bool image_job::is_moving() const {
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

double image_job::phase_fraction() const {
    if (m_state != image_state::verifying) {
        return m_progress.fraction;
    }
    auto const total = m_image ? m_image->torrent().extents.total_size() : 0;
    auto const done = m_verifier ? m_verifier->verified_bytes() : 0;
    return total == 0 ? 0 : static_cast<double>(done) / static_cast<double>(total);
}

image_status image_job::status() const {
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
    status.device_read = m_device_read;
    status.device_written = m_device_written;
    status.fetched = m_fetched;
    status.durable = m_durable;
    status.verified = m_verified;
    status.age_seconds = std::chrono::duration<double>(clock::now() - m_started).count();
    status.phase_seconds = phase_seconds();
    if (m_in_swarm) {
        status.download_rate = m_progress.download_rate;
        status.upload_rate = m_progress.upload_rate;
        status.peers = m_progress.peers;
    }
    if (m_image) {
        status.total_bytes = m_image->torrent().extents.total_size();
        status.piece_length = m_image->torrent().piece_length;
        status.piece_count = m_image->torrent().piece_count;
        status.detected = m_detected;
        status.profile = m_settings.profile.value_or(m_detected);
        status.device_read = m_image->bytes_read();
        status.device_written = m_image->bytes_written();
        status.fetched = m_image->bytes_taken();
    }
    return status;
}

void image_job::request_peers(worker_pool& worker, std::function<void(std::vector<peer_status> const&)> call) {
    if (!m_in_swarm) {
        boost::asio::post(m_services.main, [call = std::move(call)] { call({}); });
        return;
    }
    m_services.swarm.request_peers(
        *m_in_swarm, worker,
        on_main([call = std::move(call)](image_job&, std::vector<peer_status> const& list) { call(list); }));
}

std::string image_job::status_line() const {
    auto const& name = m_settings.name;
    switch (m_state) {
    case image_state::checking:
        return fmt::format("{}: checking {}%", name, percent(m_progress.fraction));
    case image_state::downloading:
        return fmt::format("{}: downloading {}%, {}, {}", name, percent(m_progress.fraction),
                           rate(m_progress.download_rate, 1), peers(m_progress.peers));
    case image_state::verifying:
        return fmt::format("{}: verifying {}%", name, percent(phase_fraction()));
    case image_state::seeding:
        if (m_progress.peers > 0) {
            return fmt::format("{}: seeding, {} to {}", name, rate(m_progress.upload_rate, 1), peers(m_progress.peers));
        }
        return fmt::format("{}: seeding", name);
    case image_state::failed:
        return fmt::format("{}: failed: {}", name, m_failure.reason);
    default:
        return fmt::format("{}: {}", name, to_string(m_state));
    }
}

void image_job::log_summary() {
    auto const moved = m_progress.downloaded + m_progress.uploaded;
    auto const quiet = m_state == image_state::seeding ? moved == std::exchange(m_summarised, moved) : !is_moving();
    if (quiet) {
        return;
    }
    auto line = status_line().substr(m_settings.name.size() + 2);
    if (m_state == image_state::downloading) {
        line += fmt::format(", {} left", size(m_progress.bytes_left));
        if (m_progress.peers > 0 && m_progress.download_rate > 0) { // the rate fades slowly when the last peer is gone
            line += ", about " + duration(static_cast<double>(m_progress.bytes_left) /
                                          static_cast<double>(m_progress.download_rate));
        }
    } else if (m_state == image_state::seeding) {
        line += fmt::format(", {} sent so far", size(m_progress.uploaded));
    }
    if (auto const use = m_services.shared->cache().stats(); use.hits + use.misses > 0) {
        auto const share = [](std::uint64_t part, std::uint64_t all) {
            return 100 * static_cast<double>(part) / static_cast<double>(std::max<std::uint64_t>(all, 1));
        };
        line += fmt::format("; of all images' reads {:.1f} % found in the cache, of its locks {:.2f} % busy",
                            share(use.hits, use.hits + use.misses), share(use.contended, use.locks));
    }
    log_info(fields(), line);
}

} // namespace seedbed
