// image_job: checkpoints of a deployment, and going on from one.

#include <algorithm>
#include <chrono>
#include <utility>

#include <spdlog/fmt/chrono.h>
#include <spdlog/fmt/fmt.h>

#include "core/foundation/byte_size.hpp"
#include "daemon/image/image_job.hpp"

namespace seedbed {

namespace {

std::string local_time(std::int64_t seconds) {
    return fmt::format("{:%Y-%m-%d %H:%M:%S}", fmt::localtime(static_cast<std::time_t>(seconds)));
}

} // namespace

resume_point find_resume_point(resume_store const& store, image_torrent const& torrent, std::string const& device) {
    resume_point point;
    auto loaded = store.load(device);
    if (!loaded) {
        point.unused = loaded.error().message;
        return point;
    }
    if (!*loaded) {
        return point;
    }
    auto const present = identify_device(device);
    if (!present) {
        point.unused = present.error().message;
        return point;
    }
    if (auto why = why_unfit(**loaded, torrent.info_hash, torrent.piece_count, device, *present)) {
        point.unused = std::move(*why);
        return point;
    }
    point.change = changed_since((*loaded)->identity, *present);
    point.found = std::move(**loaded);
    return point;
}

bool image_job::keeps_checkpoints() const {
    return m_settings.mode == image_mode::deploy && m_services.settings().resume.interval.count() > 0;
}

void image_job::join_as_target() {
    auto& found = m_resume.found;
    if (found && found->complete() && m_resume.change != device_change::none && !m_settings.verify) {
        // Perhaps something else was written to it since it was done, and nobody would notice.
        m_resume.unused = "it may have been written to since, and verify = false";
        found.reset();
    }
    if (!m_resume.unused.empty()) {
        log_info(fields(), "the checkpoint is not used: " + m_resume.unused);
    }
    auto entry = make_entry();
    if (found && found->complete()) {
        entry.hash_before_serving = true;
        m_in_swarm = m_services.swarm.add(entry, *this);
        resume_complete();
        return;
    }
    if (m_settings.check == target_check::none) {
        entry.pieces = std::vector<bool>(static_cast<std::size_t>(m_image->torrent().piece_count), false);
    } else if (found) {
        entry.pieces = found->pieces;
    } else {
        log_info(fields(), "checking what the device holds");
    }
    m_in_swarm = m_services.swarm.add(entry, *this);
    set_state(image_state::checking);
}

void image_job::resume_complete() {
    auto const total = format_byte_size(m_image->torrent().extents.total_size());
    auto const& found = *m_resume.found;
    if (m_services.trust_proof && m_resume.change == device_change::none && (found.verified || !m_settings.verify)) {
        log_info(fields(),
                 fmt::format("done: {}, durable and {} at {}; nothing was written to the device since, and it "
                             "is not read again",
                             total, found.verified ? "verified" : "not verified (verify = false)",
                             local_time(found.time)));
        m_done_recorded = true;
        m_durable = true;
        m_verified = found.verified;
        log_info(fields(), "seeding");
        set_state(image_state::seeding);
        return;
    }
    log_info(fields(), fmt::format("resumed: {0} of {0} were there: nothing to fetch", total));
    m_transfer_began = clock::now();
    begin_flush();
}

void image_job::check_again(std::string const& why) {
    log_warning(fields(), m_settings.device + ": " + why + ": checking all of it");
    if (m_verifier) {
        std::exchange(m_verifier, nullptr)->cancel();
    }
    remove_checkpoint();
    m_resume = {};
    m_done_recorded = false;
    m_durable = false;
    m_verified = false;
    m_checked_again = true;
    m_rejoining = true;
    m_services.swarm.remove(*std::exchange(m_in_swarm, std::nullopt));
    set_state(image_state::checking);
}

void image_job::apply_resume() {
    arm_checkpoint_timer();
}

void image_job::arm_checkpoint_timer() {
    if (m_state != image_state::downloading || !m_in_swarm) {
        m_checkpoint_timer.cancel();
        return;
    }
    if (!keeps_checkpoints()) {
        m_checkpoint_timer.cancel();
        remove_checkpoint(); // what it says is soon not true any more
        return;
    }
    m_services.swarm.request_pieces(*m_in_swarm);
    m_checkpoint_timer.expires_after(m_services.settings().resume.interval);
    m_checkpoint_timer.async_wait([weak = weak_from_this()](boost::system::error_code const& ec) {
        if (auto const self = weak.lock(); self && !ec) {
            self->arm_checkpoint_timer();
        }
    });
}

void image_job::on_pieces(std::vector<bool> const& there) {
    if (!m_image || there.size() != static_cast<std::size_t>(m_image->torrent().piece_count)) {
        m_pieces.clear(); // the device is being checked
        return;
    }
    m_pieces = there;
    if (m_state != image_state::downloading || m_saving_checkpoint) {
        return; // a disk that flushes slowly gets no queue of flushes
    }
    if (std::ranges::find(m_pieces, true) == m_pieces.end()) {
        remove_checkpoint(); // an older one, of what is overwritten now
    } else {
        m_saving_checkpoint = true;
        save_checkpoint(m_pieces, false, false,
                        [](image_job& self, result<void, io_error> const&) { self.m_saving_checkpoint = false; });
    }
}

void image_job::save_checkpoint(std::vector<bool> pieces, bool verified, bool at_rest,
                                std::function<void(image_job&, result<void, io_error> const&)> then) {
    auto const keep = keeps_checkpoints() && std::ranges::find(pieces, true) != pieces.end();
    if (!keep && !then) {
        return;
    }
    checkpoint what;
    what.info_hash = m_info_hash;
    what.device = m_settings.device;
    what.pieces = std::move(pieces);
    what.verified = verified;
    what.at_rest = at_rest;
    auto ended = on_main([then = std::move(then)](image_job& self, result<void, io_error> const& outcome) {
        if (then) {
            then(self, outcome);
        }
    });
    m_image->calls().submit([image = m_image, &store = m_services.checkpoints, keep, what = std::move(what),
                             name = m_settings.name, ended = std::move(ended)] {
        auto const save = [&] {
            auto const identity = identify_device(what.device); // after the last write
            if (keep && identity) {
                auto stamped = what;
                stamped.identity = *identity;
                stamped.time = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
                store.save(stamped);
                log_debug({name, stamped.device, {}},
                          fmt::format("noted which of the {} pieces are durable: {}", stamped.pieces.size(),
                                      std::ranges::count(stamped.pieces, true)));
            }
        };
        ended(flush_then_save([&] { return image->flush(); }, save));
    });
}

void image_job::remove_checkpoint() {
    if (m_image) {
        m_image->calls().submit(
            [&store = m_services.checkpoints, device = m_settings.device] { store.remove(device); });
    }
}

std::int64_t image_job::bytes_of(std::vector<bool> const& pieces) const {
    std::int64_t sum = 0;
    for (std::size_t piece = 0; piece < pieces.size(); ++piece) {
        sum += pieces[piece] ? m_image->piece_size(static_cast<std::int32_t>(piece)) : 0;
    }
    return sum;
}

std::vector<bool> image_job::all_pieces() const {
    return std::vector<bool>(static_cast<std::size_t>(m_image->torrent().piece_count), true);
}

} // namespace seedbed
