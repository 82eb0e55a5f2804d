#include "daemon/image/read_back.hpp"

#include <algorithm>
#include <utility>

#include <spdlog/fmt/fmt.h>

#include "daemon/image/durable_writes.hpp"
#include "daemon/image/image_failure.hpp"

namespace seedbed {

namespace {

constexpr int read_back_parallel = 1; ///< pieces; the download has the other workers

/// Bytes worth a flush: a small part of the image, since about as much is left to read at the end.
std::int64_t worth_a_flush(std::int64_t total) {
    constexpr std::int64_t part = 64;
    constexpr std::int64_t most = std::int64_t{256} << 20;
    return std::clamp<std::int64_t>(total / part, 1, most);
}

} // namespace

read_back::read_back(image_context& image)
    : m_context(image)
    , m_verification(image, read_back_parallel)
    , m_timer(image.services().main)
    , m_calls(image.services().main) {}

void read_back::arm() {
    auto const wanted = m_context.settings().verify && !m_context.profile().elevator && !m_found_wrong;
    if (m_context.state() != image_state::downloading || !wanted) {
        m_timer.cancel();
        return;
    }
    m_timer.expires_after(m_context.services().read_back_interval);
    m_timer.async_wait(m_calls.guarded([this](boost::system::error_code const& ec) {
        if (!ec) {
            m_context.membership().request_pieces();
            arm();
        }
    }));
}

void read_back::on_pieces(std::vector<bool> const& written) {
    auto const& image = m_context.image();
    if (!image || m_context.state() != image_state::downloading || m_context.profile().elevator ||
        !m_context.settings().verify || m_found_wrong || !m_current.empty() ||
        written.size() != static_cast<std::size_t>(image->torrent().piece_count)) {
        return;
    }
    m_right.resize(written.size());
    std::vector<bool> fresh(written.size());
    std::int64_t bytes = 0;
    auto on_device = written;
    image->remove_ends(on_device);
    for (std::size_t piece = 0; piece < on_device.size(); ++piece) {
        if (on_device[piece] && !m_right[piece]) {
            fresh[piece] = true;
            bytes += image->stored_size(piece_index{static_cast<std::int32_t>(piece)});
        }
    }
    if (bytes >= worth_a_flush(image->stored_bytes())) {
        m_current = std::move(fresh);
        flush();
    }
}

void read_back::flush() {
    make_durable(m_context.image(), m_calls.posted([this, number = ++m_flush](durable_writes const& ended) {
        if (number == m_flush) {
            on_flushed(ended.flushed);
        }
    }));
}

void read_back::on_flushed(result<void, io_error> const& outcome) {
    if (!outcome) {
        m_context.fail(to_failure(outcome.error()));
        return;
    }
    if (m_context.state() != image_state::downloading) {
        end(); // all of it is read together
        return;
    }
    m_verification.start([this](image_verifier::outcome const& read) { on_read(read); }, m_current);
}

void read_back::on_read(image_verifier::outcome const& outcome) {
    auto const& image = *m_context.image();
    if (outcome.ok()) {
        for (std::size_t piece = 0; piece < m_current.size(); ++piece) {
            if (m_current[piece]) {
                m_right[piece] = true;
                m_right_bytes += image.stored_size(piece_index{static_cast<std::int32_t>(piece)});
            }
        }
    } else {
        m_found_wrong = true;
        auto const what = outcome.read_failed
                              ? outcome.read_failed->message()
                              : fmt::format("{}: piece {} differs on the device", m_context.settings().device,
                                            outcome.pieces.front().value());
        log_warning(m_context.fields(), what + "; reading it again after the download");
    }
    end();
}

void read_back::end() {
    m_current.clear();
    if (m_then) {
        std::exchange(m_then, nullptr)();
    }
}

void read_back::finish(std::function<void()> then) {
    m_timer.cancel();
    if (m_current.empty()) {
        then();
    } else {
        m_then = std::move(then);
    }
}

void read_back::reset() {
    m_timer.cancel();
    m_verification.cancel();
    ++m_flush; // the result of the current read no longer counts
    m_right.clear();
    m_current.clear();
    m_right_bytes = 0;
    m_found_wrong = false;
    m_then = nullptr;
}

std::vector<bool> read_back::unread() const {
    auto pieces = m_right;
    pieces.flip();
    return pieces;
}

} // namespace seedbed
