#include "daemon/image/deploy_run.hpp"

#include <algorithm>
#include <ctime>
#include <memory>
#include <utility>

#include <spdlog/fmt/chrono.h>
#include <spdlog/fmt/fmt.h>

#include "core/foundation/byte_size.hpp"
#include "core/foundation/format_count.hpp"
#include "daemon/image/durable_writes.hpp"
#include "daemon/swarm/libtorrent_types.hpp"
#include "daemon/swarm/torrent_trackers.hpp"
#include "daemon/text/quantity_text.hpp"

namespace seedbed {

namespace {

std::string local_time(std::int64_t seconds) {
    return fmt::format("{:%Y-%m-%d %H:%M:%S}", fmt::localtime(static_cast<std::time_t>(seconds)));
}

std::int64_t bytes_of(std::vector<bool> const& pieces, served_image const& image) {
    std::int64_t sum = 0;
    for (std::size_t piece = 0; piece < pieces.size(); ++piece) {
        sum += pieces[piece] ? image.piece_size(piece_index{static_cast<std::int32_t>(piece)}) : 0;
    }
    return sum;
}

std::int64_t stored_bytes_of(std::vector<bool> const& pieces, served_image const& image) {
    std::int64_t sum = 0;
    for (std::size_t piece = 0; piece < pieces.size(); ++piece) {
        sum += pieces[piece] ? image.stored_size(piece_index{static_cast<std::int32_t>(piece)}) : 0;
    }
    return sum;
}

/// Whether a slice has a byte in one of the ranges.
bool overlap(std::vector<extent> const& slices, std::vector<extent> const& ranges) {
    return std::ranges::any_of(slices, [&ranges](extent const& slice) {
        return std::ranges::any_of(ranges, [&slice](extent const& range) {
            return slice.device_offset < range.device_offset + range.length &&
                   range.device_offset < slice.device_offset + slice.length;
        });
    });
}

double seconds_between(std::chrono::steady_clock::time_point from, std::chrono::steady_clock::time_point to) {
    return std::chrono::duration<double>(to - from).count();
}

char const* verified_text(bool verified) {
    return verified ? "verified" : "not verified (verify = false)";
}

} // namespace

deploy_run::deploy_run(image_context& image, resume_point resume, std::shared_ptr<packed_plan const> plan)
    : m_context(image)
    , m_resume(std::move(resume))
    , m_plan(std::move(plan))
    , m_checkpoints(image, m_plan ? m_plan->placement_id() : std::string())
    , m_read_back(image)
    , m_verification(image)
    , m_damaged_pieces(image)
    , m_damage(image.services().damage_pause)
    , m_calls(image.services().main) {}

void deploy_run::on_state() {
    m_checkpoints.arm();
    m_read_back.arm();
}

void deploy_run::on_pieces(std::vector<bool> const& written) {
    m_checkpoints.on_pieces(written);
    m_read_back.on_pieces(written);
}

std::int64_t deploy_run::total_bytes() const {
    return m_context.image()->torrent().extents.total_size();
}

std::int64_t deploy_run::stored_bytes() const {
    return m_context.image()->stored_bytes();
}

bool deploy_run::is_packed() const {
    return m_context.image()->packed() != nullptr;
}

bool deploy_run::is_planned_disk() const {
    return m_plan && m_plan->layout() != nullptr;
}

// --- the data already on the device

void deploy_run::begin() {
    auto& found = m_resume.found;
    auto const verify = m_context.settings().verify;
    if (found && found->complete() && !m_resume.trusted() && !verify) {
        m_resume.unused = "the device may have been written to since, and verify = false";
        found.reset();
    }
    if (!m_resume.unused.empty()) {
        log_info(m_context.fields(), "ignoring the checkpoint: " + m_resume.unused);
    }
    if (found) {
        m_basis = basis::checkpoint;
    } else if (m_context.settings().check == target_check::none) {
        m_basis = basis::nothing;
    }
    if (found && !found->complete()) {
        m_checkpoints.mark_in_use(*found);
        if (!m_resume.trusted()) {
            read_claims();
            return;
        }
    }
    if (m_basis == basis::check) {
        check_pieces();
        return;
    }
    if (found && found->complete()) {
        m_context.join(make_spec());
        resume_complete();
        return;
    }
    m_context.enter(image_state::checking);
    join();
}

void deploy_run::join() {
    auto const spec = make_spec();
    auto const complete = spec.pieces && std::ranges::find(*spec.pieces, false) == spec.pieces->end();
    auto const& image = m_context.image();
    if (complete || (!is_planned_disk() && image->ends() == nullptr)) {
        join(spec);
        return;
    }
    auto wiped = m_calls.posted([this](disk_work const& work) { on_wiped(work); });
    image->calls().submit([image, plan = m_plan, is_disk = is_planned_disk(), wiped = std::move(wiped)] {
        wiped(is_disk ? wipe_disk(*plan, image->storage()) : hold_back_ends(*image, plan.get()));
    });
}

void deploy_run::on_wiped(disk_work const& wiped) {
    if (m_context.state() != image_state::checking) {
        return;
    }
    log_disk_work(wiped);
    if (wiped.failure) {
        m_context.fail(*wiped.failure);
        return;
    }
    auto* const present = m_basis == basis::check        ? &m_present
                          : m_basis == basis::checkpoint ? &m_resume.found->pieces
                                                         : nullptr;
    for (std::size_t number = 0; present != nullptr && number < present->size(); ++number) {
        auto const slices = m_context.image()->stored_slices(piece_index{static_cast<std::int32_t>(number)});
        if ((*present)[number] && overlap(slices, wiped.erased)) {
            (*present)[number] = false;
        }
    }
    join(make_spec());
}

void deploy_run::join(torrent_spec const& spec) {
    m_context.join(spec);
    send_report(host_report::outcome_kind::started, "");
}

void deploy_run::log_disk_work(disk_work const& work) const {
    for (auto const& line : work.steps) {
        log_info(m_context.fields(), line);
    }
    for (auto const& line : work.warnings) {
        log_warning(m_context.fields(), m_context.settings().device + ": " + line);
    }
}

torrent_spec deploy_run::make_spec() {
    auto spec = m_context.make_spec();
    if (auto const* const packed = m_context.image()->packed(); packed != nullptr) {
        spec.withdrawn = packed->withdrawn();
        spec.supply = packed->supply();
    }
    spec.on_report_port = m_calls.guarded([this](boost::asio::ip::tcp::endpoint const& peer) { on_report_peer(peer); });
    switch (m_basis) {
    case basis::check:
        spec.pieces = m_present;
        break;
    case basis::checkpoint:
        // A packed target gives no piece without checking its hash.
        spec.hash_before_serving = m_resume.found->complete() && !is_packed();
        if (!spec.hash_before_serving) {
            spec.pieces = m_resume.found->pieces;
        }
        break;
    case basis::nothing:
        spec.pieces = std::vector<bool>(static_cast<std::size_t>(spec.torrent->piece_count), false);
        break;
    }
    return spec;
}

void deploy_run::rejoin() {
    check_pieces();
}

void deploy_run::check_pieces() {
    log_info(m_context.fields(), "checking the data on the device");
    if (m_context.state() != image_state::checking) {
        m_context.enter(image_state::checking);
    }
    m_verification.start([this](image_verifier::outcome const& outcome) { on_pieces_checked(outcome); }, {}, true);
}

void deploy_run::on_pieces_checked(image_verifier::outcome const& outcome) {
    m_present.assign(static_cast<std::size_t>(m_context.image()->torrent().piece_count), true);
    for (auto const* const missing : {&outcome.pieces, &outcome.unreadable}) {
        for (auto const piece : *missing) {
            m_present[static_cast<std::size_t>(piece.value())] = false;
        }
    }
    if (outcome.read_failed) {
        log_warning(m_context.fields(),
                    fmt::format("{}; {} cannot be read; downloading them again", outcome.read_failed->message(),
                                format_count(outcome.unreadable.size(), "piece")));
    }
    join();
}

void deploy_run::read_claims() {
    auto const& claimed = m_resume.found->pieces;
    log_info(m_context.fields(),
             fmt::format("the device may have changed since the checkpoint; reading back the {} that it lists",
                         format_byte_size(stored_bytes_of(claimed, *m_context.image()))));
    m_context.enter(image_state::checking);
    m_verification.start([this](image_verifier::outcome const& outcome) { on_claims_read(outcome); }, claimed, true);
}

void deploy_run::on_claims_read(image_verifier::outcome const& outcome) {
    auto& claimed = m_resume.found->pieces;
    auto const count = std::ranges::count(claimed, true);
    if (!outcome.pieces.empty()) {
        log_warning(m_context.fields(),
                    fmt::format("{}: {} of {} pieces in the checkpoint differ on the device; downloading them again",
                                m_context.settings().device, outcome.pieces.size(), count));
    }
    if (outcome.read_failed) {
        log_warning(m_context.fields(),
                    fmt::format("{}; {} of {} pieces in the checkpoint cannot be read; downloading them again",
                                outcome.read_failed->message(), outcome.unreadable.size(), count));
    }
    for (auto const* const missing : {&outcome.pieces, &outcome.unreadable}) {
        for (auto const piece : *missing) {
            claimed[static_cast<std::size_t>(piece.value())] = false;
        }
    }
    join();
}

void deploy_run::resume_complete() {
    auto const total = format_byte_size(stored_bytes());
    auto const& found = *m_resume.found;
    auto const proven = found.verified || !m_context.settings().verify;
    if (m_context.services().trust_proof && m_resume.trusted() && proven) {
        log_info(m_context.fields(),
                 fmt::format(
                     "done: {}, durable and {} at {}; the device has not been written to since; not reading it again",
                     total, verified_text(found.verified), local_time(found.time)));
        m_checkpoints.keep_done();
        m_proof = found.verified ? image_proof::verified : image_proof::durable;
        log_info(m_context.fields(), "seeding");
        m_context.enter(image_state::seeding);
        return;
    }
    log_info(m_context.fields(), fmt::format("resumed: {0} of {0} present; 0 B to download", total));
    m_transfer_began = clock::now();
    begin_flush();
}

void deploy_run::on_checked() {
    if (m_context.state() == image_state::checking) {
        m_numbers_awaited = true;
        m_context.services().swarm.request_progress();
    }
}

void deploy_run::on_progress() {
    auto const downloading = m_context.progress().current == torrent_progress::phase::downloading;
    if (m_context.state() == image_state::checking && downloading && m_numbers_awaited) {
        report_check();
    }
    auto const* const packed = m_context.image() ? m_context.image()->packed() : nullptr;
    if (packed != nullptr && packed->withdrawn()->any() && !std::exchange(m_withdrawal_logged, true)) {
        log_info(m_context.fields(),
                 "some pieces can no longer be given to other machines: they have left the memory, and " +
                     m_context.settings().device + " holds other bytes by now, or another version of zstd packed them");
    }
}

void deploy_run::report_check() {
    m_numbers_awaited = false;
    auto const total = total_bytes();
    auto& missing = m_context.progress().bytes_left;
    switch (m_basis) {
    case basis::checkpoint: {
        auto const present = bytes_of(m_resume.found->pieces, *m_context.image());
        missing = total - present;
        log_info(m_context.fields(), fmt::format("resumed: {} of {} present; {} to download", format_byte_size(present),
                                                 format_byte_size(total), format_byte_size(missing)));
        break;
    }
    case basis::nothing:
        log_info(m_context.fields(),
                 fmt::format("not checked (check = \"none\"): {} to download", format_byte_size(total)));
        break;
    case basis::check: {
        auto const seconds = m_context.phase_seconds();
        auto const checked = stored_bytes();
        log_info(m_context.fields(),
                 fmt::format("checked {} in {} ({}): {} to download", format_byte_size(checked),
                             format_duration(seconds), format_rate(checked, seconds), format_byte_size(missing)));
        break;
    }
    }
    if (missing > 0) {
        log_info(m_context.fields(), "downloading");
    }
    m_transfer_began = clock::now();
    m_context.enter(image_state::downloading);
}

// --- downloading

void deploy_run::on_complete() {
    if (m_context.state() == image_state::checking) {
        m_context.progress().bytes_left = m_context.image()->bytes_taken(); // everything that had been missing
        report_check();
    }
    if (m_context.state() != image_state::downloading) {
        return;
    }
    auto const fetched = m_context.image()->bytes_taken();
    auto const seconds = m_context.phase_seconds();
    log_info(m_context.fields(), fetched == 0 ? "downloaded: nothing was missing"
                                              : fmt::format("downloaded {} in {} ({})", format_byte_size(fetched),
                                                            format_duration(seconds), format_rate(fetched, seconds)));
    begin_flush();
}

void deploy_run::on_piece_damaged(int piece) {
    m_damaged_pieces.add(piece);
}

void deploy_run::on_peer_banned(boost::asio::ip::tcp::endpoint const& peer, int other_sources) {
    auto const name = to_text(peer);
    auto const decided = m_damage.on_banned(peer, other_sources, m_context.progress().good_pieces);
    auto const sent = fmt::format("{} sent {} that failed the hash check", name,
                                  format_count(static_cast<std::size_t>(decided.pieces), "piece"));
    switch (decided.what) {
    case damage_policy::action::none:
        break;
    case damage_policy::action::retry:
        if (auto const note = m_ban_lines.take_noting(clock::now())) {
            log_warning({m_context.settings().name, m_context.settings().device, name},
                        fmt::format("{}; connecting to it again in {}{}", sent,
                                    format_duration(std::chrono::duration<double>(decided.pause).count()), *note));
        }
        retry_after(decided.pause, peer);
        break;
    case damage_policy::action::give_up:
        m_context.fail({failure_kind::damage, sent + ", and no source sent a good one: its memory, disk or "
                                                     "network is faulty"});
        break;
    }
}

void deploy_run::retry_after(std::chrono::milliseconds pause, boost::asio::ip::tcp::endpoint const& peer) {
    auto& timer = m_retry_timers.try_emplace(peer.address(), m_context.services().main).first->second;
    timer.expires_after(pause);
    timer.async_wait(m_calls.guarded([this, peer](boost::system::error_code const& ec) {
        if (!ec) {
            m_retry_timers.erase(peer.address());
            m_damage.on_lifted(peer.address());
            m_context.membership().lift_ban(peer);
        }
    }));
}

void deploy_run::cancel() {
    m_verification.cancel();
    m_read_back.reset();
    m_retry_timers.clear();
}

void deploy_run::on_content_differs() {
    auto const state = m_context.state();
    if (state == image_state::flushing || state == image_state::verifying || state == image_state::seeding) {
        check_again("does not match the checkpoint");
    }
}

void deploy_run::check_again(std::string const& why) {
    log_warning(m_context.fields(), m_context.settings().device + ": " + why + "; checking all of it");
    m_verification.cancel();
    m_read_back.reset();
    m_checkpoints.remove();
    m_resume = {};
    m_present.clear();
    m_basis = basis::check;
    m_proof = image_proof::none;
    m_content = {};
    ++m_examination;
    m_context.membership().begin_to_rejoin();
    m_context.enter(image_state::checking);
}

// --- from the last block to "done"

void deploy_run::begin_flush() {
    m_context.enter(image_state::flushing);
    complete_image(m_context.image(),
                   m_calls.posted([this](durable_writes const& ended) { on_flushed(ended.flushed, ended.written); }));
}

void deploy_run::on_flushed(result<void, io_error> const& outcome, clock::time_point written) {
    if (m_context.state() != image_state::flushing) {
        return;
    }
    if (!outcome) {
        m_context.fail(to_failure(outcome.error()));
        return;
    }
    m_proof = image_proof::durable;
    auto const now = clock::now();
    auto const to_durable = seconds_between(written, now);
    auto const to_written = std::max(m_context.phase_seconds() - to_durable, 0.0);
    auto const to_all = seconds_between(m_transfer_began, now);
    auto const bytes = m_context.image()->bytes_written();
    log_info(m_context.fields(),
             fmt::format("written: the last block {} after it arrived", format_duration(to_written)));
    log_info(m_context.fields(),
             fmt::format("durable: flushed in {}; {} from peer to disk in {} ({})", format_duration(to_durable),
                         format_byte_size(bytes), format_duration(to_all), format_rate(bytes, to_all)));
    if (!is_planned_disk()) { // which is not complete without its table
        m_checkpoints.save_complete();
    }
    if (m_context.settings().verify) {
        begin_verify();
    } else {
        examine();
    }
}

void deploy_run::begin_verify() {
    m_context.enter(image_state::verifying);
    m_read_back.finish([this] { read_rest(); });
}

void deploy_run::read_rest() {
    auto const right = m_read_back.right_bytes();
    log_info(m_context.fields(),
             right == 0 ? "verifying: reading everything back from the device"
                        : fmt::format("verifying: {} were read back during the download, reading back the other {}",
                                      format_byte_size(right), format_byte_size(stored_bytes() - right)));
    m_verification.start([this](image_verifier::outcome const& outcome) { on_verified(outcome); },
                         m_read_back.unread());
}

void deploy_run::on_verified(image_verifier::outcome const& outcome) {
    if (outcome.read_failed) {
        m_context.fail({failure_kind::verify, outcome.read_failed->message()});
        return;
    }
    if (!outcome.ok()) {
        on_different(outcome);
        return;
    }
    m_proof = image_proof::verified;
    auto const rest = stored_bytes() - m_read_back.right_bytes();
    auto const seconds = m_context.phase_seconds();
    log_info(m_context.fields(), fmt::format("verified {} in {} ({})", format_byte_size(rest), format_duration(seconds),
                                             format_rate(rest, seconds)));
    examine();
}

void deploy_run::on_different(image_verifier::outcome const& outcome) {
    auto const pieces = m_context.image()->torrent().piece_count;
    if (m_basis == basis::checkpoint) {
        check_again(fmt::format("{} of {} pieces differ on the device", outcome.pieces.size(), pieces));
        return;
    }
    m_checkpoints.remove(); // the next start must not resume from it
    auto const& first = outcome.differing.front();
    m_context.fail(
        {failure_kind::verify,
         fmt::format("{}: not verified: {} of {} pieces differ on the device, the first one at offset {}, length {}",
                     m_context.settings().device, outcome.pieces.size(), pieces, first.device_offset, first.length)});
}

void deploy_run::examine() {
    auto examined =
        m_calls.posted([this, number = ++m_examination](disk_work const& finished, written_content const& content) {
            if (number == m_examination && !has_ended(m_context.state())) {
                on_examined(finished, content);
            }
        });
    auto const& image = m_context.image();
    image->calls().submit([image, plan = is_planned_disk() ? m_plan : nullptr, examined = std::move(examined)] {
        auto const finished = plan ? finish_disk(*plan, *image) : disk_work{};
        examined(finished, finished.failure ? written_content{} : examine_content(*image));
    });
}

void deploy_run::on_examined(disk_work const& finished, written_content const& content) {
    log_disk_work(finished);
    if (finished.failure) {
        m_context.fail(*finished.failure);
        return;
    }
    m_content = content;
    for (auto const& warning : content.warnings) {
        log_warning(m_context.fields(), m_context.settings().device + ": " + warning);
    }
    finish_deployment();
}

void deploy_run::finish_deployment() {
    auto const verified = m_proof == image_proof::verified;
    auto const total = stored_bytes();
    auto const seconds = m_context.age_seconds();
    auto const packed = is_packed() ? fmt::format(" ({} packed)", format_byte_size(total_bytes())) : "";
    log_info(m_context.fields(),
             fmt::format("done: {}{}, of which {} downloaded, written, durable and {} in {} ({})",
                         format_byte_size(total), packed, format_byte_size(m_context.image()->bytes_written()),
                         verified_text(verified), format_duration(seconds), format_rate(total, seconds)));
    m_checkpoints.save_done(verified);
    using outcome = host_report::outcome_kind;
    send_report(verified ? outcome::verified : outcome::durable, "");
    log_info(m_context.fields(), "seeding");
    m_context.enter(image_state::seeding);
}

void deploy_run::on_failed(std::string const& reason) {
    send_report(host_report::outcome_kind::failed, reason);
}

void deploy_run::on_report_peer(boost::asio::ip::tcp::endpoint const& peer) {
    auto* const reports = m_context.services().reports;
    if (m_report_peers.add(peer) && m_last_report == host_report::outcome_kind::started && reports != nullptr) {
        reports->add_peer(m_context.settings().name, peer);
    }
}

void deploy_run::send_report(host_report::outcome_kind outcome, std::string const& reason) {
    auto* const reports = m_context.services().reports;
    auto const& image = m_context.image();
    if (reports == nullptr || !image) {
        return;
    }
    m_last_report = outcome;
    host_report report;
    report.outcome = outcome;
    report.reason = reason;
    report.taken =
        std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::duration<double>(m_context.age_seconds()));
    report.bytes = image->bytes_taken();
    identify(report, m_context.services().job);
    report.facts = m_context.facts();
    report.facts.image_bytes = stored_bytes();
    for (auto const& warning : m_content.warnings) {
        report.facts.warnings += (report.facts.warnings.empty() ? "" : "; ") + warning;
    }
    if (outcome != host_report::outcome_kind::started) {
        auto const is_done = outcome != host_report::outcome_kind::failed;
        report.receipt = m_context.receipt(is_done && m_plan ? m_plan->layout() : nullptr);
    }
    auto urls = announce_urls(image->torrent());
    auto const& trackers = m_context.settings().trackers;
    urls.insert(urls.end(), trackers.begin(), trackers.end());
    reports->send(m_context.settings().name, image->torrent().info_hash, urls, m_report_peers.all(), report);
}

void deploy_run::finish(std::function<void(result<void, io_error> const&)> then) {
    m_checkpoints.save_last(std::move(then));
}

} // namespace seedbed
