// image_job: what is seeded is what the torrent says, and stays so.

#include <algorithm>
#include <chrono>
#include <utility>

#include <spdlog/fmt/fmt.h>

#include "core/foundation/byte_size.hpp"
#include "daemon/image/image_job.hpp"

namespace seedbed {

namespace {

bool can_be_known(device_identity const& identity) {
    return !identity.block_device || identity.disk_sequence != 0 || !identity.serials.empty();
}

} // namespace

void image_job::join_as_seed() {
    auto entry = make_entry();
    if (m_settings.verify_source == source_check::lazy) {
        entry.hash_before_serving = true;
    } else {
        entry.pieces = all_pieces();
    }
    m_super_seeding = m_settings.super_seeding;
    entry.super_seeding = m_super_seeding;
    m_in_swarm = m_services.swarm.add(entry, *this);
    log_info(fields(), "seeding");
    set_state(image_state::seeding);
}

void image_job::check_source() {
    log_info(fields(), "verifying: all of the source is read before it is served");
    set_state(image_state::verifying);
    auto const profile = present_profile();
    auto const parallel = std::min(profile.threads, m_services.shared->hash_workers().threads());
    m_verifier = image_verifier::start(
        m_image, m_services.shared->hash_workers(), {parallel, profile.elevator},
        on_main([](image_job& self, image_verifier::outcome const& outcome) { self.on_source_checked(outcome); }));
}

void image_job::on_source_checked(image_verifier::outcome const& outcome) {
    if (outcome.cancelled || m_state != image_state::verifying) {
        return;
    }
    m_verifier.reset();
    if (outcome.read_failed) {
        fail(*outcome.read_failed);
        return;
    }
    if (!outcome.ok()) {
        auto const& first = outcome.differing.front();
        fail(failure_kind::content,
             fmt::format("{}: does not hold what the torrent says: {} of {} pieces differ, the first one at offset {}, "
                         "length {}",
                         m_settings.device, outcome.pieces.size(), m_image->torrent().piece_count, first.device_offset,
                         first.length));
        return;
    }
    auto const total = m_image->torrent().extents.total_size();
    auto const seconds = phase_seconds();
    log_info(fields(), fmt::format("verified {} in {:.1f} s ({:.1f} MiB/s)", format_byte_size(total), seconds,
                                   static_cast<double>(total) / (1 << 20) / std::max(seconds, 1e-3)));
    join_as_seed();
}

void image_job::arm_source_timer() {
    auto const looks = m_state == image_state::seeding || m_state == image_state::verifying;
    if (m_settings.mode != image_mode::seed || !looks) {
        m_source_timer.cancel();
        return;
    }
    m_source_timer.expires_after(m_services.source_interval);
    m_source_timer.async_wait([weak = weak_from_this()](boost::system::error_code const& ec) {
        auto const self = weak.lock();
        if (!self || ec) {
            return;
        }
        auto looked =
            self->on_main([](image_job& job, result<device_identity> const& now) { job.on_source_looked_at(now); });
        self->m_services.setup.submit(
            [device = self->m_settings.device, looked = std::move(looked)] { looked(identify_device(device)); });
    });
}

void image_job::on_source_looked_at(result<device_identity> const& now) {
    if (m_state != image_state::seeding && m_state != image_state::verifying) {
        return;
    }
    constexpr auto not_served = "; not served any more";
    if (!now) {
        fail(failure_kind::content, "the source is gone: " + now.error().message + not_served);
        return;
    }
    if (m_identity == device_identity{}) {
        return; // it could not be looked at when it was opened: there is nothing to compare with
    }
    if (can_be_known(m_identity)) {
        if (auto const other = why_other_device(m_identity, *now)) {
            fail(failure_kind::content, m_settings.device + ": the source has changed: " + *other + not_served);
            return;
        }
    }
    if (changed_since(m_identity, *now) == device_change::written && !m_source_written) {
        auto const* const what =
            now->block_device ? ": something else writes to the source" : ": the source has changed";
        if (!m_settings.allow_mounted) {
            fail(failure_kind::content, m_settings.device + what + not_served);
            return;
        }
        m_source_written = true;
        log_warning(fields(), m_settings.device + what +
                                  " (allow_mounted = true): what was hashed before is not "
                                  "hashed again");
    }
    arm_source_timer();
}

void image_job::steer_super_seeding() {
    if (!m_in_swarm || m_settings.mode != image_mode::seed || !m_image) {
        return;
    }
    if (m_progress.peers == 0) {
        m_super_began = m_progress.uploaded; // who comes next has nothing yet
    }
    auto const sent = m_progress.uploaded - m_super_began;
    auto const wanted = m_settings.super_seeding && sent < m_image->torrent().extents.total_size();
    if (std::exchange(m_super_seeding, wanted) != wanted) {
        m_services.swarm.set_super_seeding(*m_in_swarm, wanted);
    }
}

} // namespace seedbed
