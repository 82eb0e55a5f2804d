#include "daemon/image/verification.hpp"

#include <algorithm>
#include <utility>

namespace seedbed {

void verification::start(handler done, std::vector<bool> only, bool skip_unreadable) {
    auto& workers = m_context.services().shared->hash_workers();
    auto const profile = m_context.profile();
    auto const parallel = std::min({profile.threads, workers.threads(), m_most_parallel});
    auto ended = [this, number = ++m_number, done = std::move(done)](image_verifier::outcome const& outcome) {
        if (!m_verifier || number != m_number) {
            return; // cancelled after it had ended, but before this call
        }
        m_verifier.reset();
        done(outcome);
    };
    m_verifier = image_verifier::start(m_context.image(), workers, {parallel, profile.elevator},
                                       m_calls.posted(std::move(ended)), std::move(only), skip_unreadable);
}

void verification::cancel() {
    if (m_verifier) {
        std::exchange(m_verifier, nullptr)->cancel();
    }
}

} // namespace seedbed
