#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <vector>

#include "core/backend/image_verifier.hpp"
#include "daemon/image/image_context.hpp"
#include "daemon/image/main_calls.hpp"

namespace seedbed {

/// Reads an image back from its device, once or repeatedly.
///
/// Threads: confined to the main thread; the work runs on the backend's hash workers.
class verification {
public:
    using handler = std::function<void(image_verifier::outcome const&)>;

    /// \param most_parallel pieces read at a time, at most: no more than the profile has threads.
    explicit verification(image_context& image, int most_parallel = std::numeric_limits<int>::max())
        : m_context(image)
        , m_most_parallel(most_parallel)
        , m_calls(image.services().main) {}

    /// \param done called once, unless the verification is cancelled. \param only the pieces to read; empty: all.
    /// \param skip_unreadable see image_verifier::start().
    void start(handler done, std::vector<bool> only = {}, bool skip_unreadable = false);
    /// Does nothing if no verification is running.
    void cancel();
    /// Bytes that the running verification has read and hashed so far.
    [[nodiscard]] std::int64_t verified_bytes() const { return m_verifier ? m_verifier->verified_bytes() : 0; }

private:
    image_context& m_context;
    int const m_most_parallel;
    std::shared_ptr<image_verifier> m_verifier; ///< the running one, or null
    std::uint64_t m_number = 0;                 ///< number of the last one
    main_calls m_calls;
};

} // namespace seedbed
