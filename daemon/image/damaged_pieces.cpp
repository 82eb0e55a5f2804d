#include "daemon/image/damaged_pieces.hpp"

#include <utility>

#include <spdlog/fmt/fmt.h>

#include "daemon/log/logging.hpp"

namespace seedbed {

void damaged_pieces::add(int piece) {
    if (auto const note = m_limit.take_noting(allowance::clock::now())) {
        m_lines.push_back(fmt::format("piece {} failed its hash check; downloading it again{}", piece, *note));
    }
    m_wanted = true;
    flush();
}

void damaged_pieces::flush() {
    auto const& image = m_context.image();
    if (!image || m_flushing || !std::exchange(m_wanted, false)) {
        return;
    }
    m_flushing = true;
    auto flushed = m_calls.posted([this, lines = std::exchange(m_lines, {})](result<void, io_error> const& outcome) {
        m_flushing = false;
        if (!outcome) {
            m_context.fail(to_failure(outcome.error()));
            return;
        }
        for (auto const& line : lines) {
            log_warning(m_context.fields(), line);
        }
        flush();
    });
    image->calls().submit([image, flushed = std::move(flushed)] { flushed(image->flush()); });
}

} // namespace seedbed
