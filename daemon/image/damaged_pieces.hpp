#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "daemon/image/image_context.hpp"
#include "daemon/image/main_calls.hpp"
#include "daemon/log/line_limit.hpp"

namespace seedbed {

/// Finds out whether damaged pieces are the fault of a peer, which sent wrong data, or of this disk, which lost it: the
/// kernel drops pages that it could not write, which only a flush reports. If the flush fails, so does the image.
///
/// Peers can damage any number of pieces: one flush at a time is for all that came before it, and the lines are
/// limited.
///
/// Threads: confined to the main thread.
class damaged_pieces {
public:
    explicit damaged_pieces(image_context& image)
        : m_context(image)
        , m_calls(image.services().main) {}

    void add(int piece);

private:
    void flush();

    image_context& m_context;
    line_limit m_limit{8, std::chrono::minutes(1)};
    std::vector<std::string> m_lines; ///< to log after the next flush
    bool m_flushing = false;
    bool m_wanted = false; ///< a piece has been added since the flush began
    main_calls m_calls;
};

} // namespace seedbed
