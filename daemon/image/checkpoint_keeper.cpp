#include "daemon/image/checkpoint_keeper.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <spdlog/fmt/fmt.h>

#include "core/foundation/wall_clock.hpp"
#include "daemon/image/durable_writes.hpp"

namespace seedbed {

namespace {

bool any(std::vector<bool> const& pieces) {
    return std::ranges::find(pieces, true) != pieces.end();
}

bool all(std::vector<bool> const& pieces) {
    return std::ranges::find(pieces, false) == pieces.end();
}

/// Saves a checkpoint after a flush, on a worker.
void save_stamped(checkpoint_store& store, checkpoint what, std::string const& image) {
    auto const identity = identify_device(what.device); // after the last write
    if (!identity) {
        return;
    }
    what.identity = *identity;
    what.time = std::chrono::system_clock::to_time_t(wall_clock_now());
    store.save(what);
    log_debug({image, what.device, {}}, fmt::format("saved a checkpoint: {} of {} pieces are durable",
                                                    std::ranges::count(what.pieces, true), what.pieces.size()));
}

} // namespace

bool keeps_checkpoints(image_settings const& image, settings const& in_force) {
    return image.mode == image_mode::deploy && in_force.resume.interval.count() > 0;
}

checkpoint_keeper::checkpoint_keeper(image_context& image, std::string placement)
    : m_context(image)
    , m_placement(std::move(placement))
    , m_timer(image.services().main)
    , m_calls(image.services().main) {}

void checkpoint_keeper::arm() {
    if (m_context.state() != image_state::downloading || !m_context.membership().inside()) {
        m_timer.cancel();
        return;
    }
    if (!keeps_checkpoints(m_context.settings(), m_context.services().settings())) {
        m_timer.cancel();
        remove(); // the download is about to overwrite the data that it lists
        return;
    }
    m_due = true;
    m_context.membership().request_pieces();
    m_timer.expires_after(m_context.services().settings().resume.interval);
    m_timer.async_wait(m_calls.guarded([this](boost::system::error_code const& ec) {
        if (!ec) {
            arm();
        }
    }));
}

void checkpoint_keeper::on_pieces(std::vector<bool> const& written) {
    auto const& image = m_context.image();
    if (!image || written.size() != static_cast<std::size_t>(image->torrent().piece_count) ||
        m_context.state() == image_state::checking) {
        m_written.clear(); // the device is being checked
        return;
    }
    m_written = written;
    auto const* const ends = image->ends();
    if (!all(written) || (ends != nullptr && ends->holds_back())) {
        image->remove_ends(m_written);
    }
    if (m_context.state() != image_state::downloading || m_phase == phase::saving || !m_due) {
        return;
    }
    m_due = false;
    if (!any(m_written)) {
        remove(); // an older checkpoint, of data that is being overwritten
        return;
    }
    m_phase = phase::saving;
    save(m_written, false, false, [this](result<void, io_error> const&) {
        if (m_phase == phase::saving) {
            m_phase = phase::idle;
        }
    });
}

void checkpoint_keeper::save_complete() {
    save(all_pieces(), false, true, {});
}

void checkpoint_keeper::save_done(bool verified) {
    m_phase = phase::done;
    save(all_pieces(), verified, true, {});
}

void checkpoint_keeper::save_last(handler then) {
    save(m_phase == phase::done ? std::vector<bool>{} : m_written, false, true, std::move(then));
}

void checkpoint_keeper::save(std::vector<bool> pieces, bool verified, bool at_rest, handler then) {
    auto const keep = keeps_checkpoints(m_context.settings(), m_context.services().settings()) && any(pieces);
    if (!keep && !then) {
        return;
    }
    auto const& image = m_context.image();
    checkpoint what;
    what.info_hash = image->torrent().info_hash;
    what.device = m_context.settings().device;
    what.placement = m_placement;
    what.pieces = std::move(pieces);
    what.verified = verified;
    what.at_rest = at_rest;
    auto ended = m_calls.posted([then = std::move(then)](result<void, io_error> const& outcome) {
        if (then) {
            then(outcome);
        }
    });
    make_durable(image, [&store = m_context.services().checkpoints, keep, what = std::move(what),
                         name = m_context.settings().name, ended = std::move(ended)](durable_writes const& writes) {
        ended(flush_then_save([&] { return writes.flushed; },
                              [&] {
                                  if (keep) {
                                      save_stamped(store, what, name);
                                  }
                              }));
    });
}

void checkpoint_keeper::remove() {
    if (m_phase == phase::done) {
        m_phase = phase::idle;
    }
    if (auto const& image = m_context.image()) {
        image->calls().submit([&store = m_context.services().checkpoints, device = m_context.settings().device] {
            store.remove(device);
        });
    }
}

void checkpoint_keeper::mark_in_use(checkpoint what) {
    what.at_rest = false;
    m_context.image()->calls().submit(
        [&store = m_context.services().checkpoints, what = std::move(what)] { store.save(what); });
}

std::vector<bool> checkpoint_keeper::all_pieces() const {
    std::vector<bool> all(static_cast<std::size_t>(m_context.image()->torrent().piece_count), true);
    return all;
}

} // namespace seedbed
