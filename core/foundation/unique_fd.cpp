#include "core/foundation/unique_fd.hpp"

#include <unistd.h>

namespace seedbed {

void unique_fd::reset(int fd) noexcept {
    if (m_fd >= 0) {
        static_cast<void>(::close(m_fd));
    }
    m_fd = fd;
}

} // namespace seedbed
