#include <malloc.h>

#include "daemon/command_line.hpp"

namespace {

/// libtorrent allocates and frees its receive buffers over and over. Where the allocator gave their memory back to the
/// system each time, each block that arrives would cost page faults.
void keep_freed_memory() {
    constexpr int kept = 32 << 20; // bytes
    // Where this fails, it is slower and nothing else.
    static_cast<void>(::mallopt(M_MMAP_THRESHOLD, kept));
    static_cast<void>(::mallopt(M_TRIM_THRESHOLD, kept));
    static_cast<void>(::mallopt(M_TOP_PAD, 1 << 20));
}

} // namespace

int main(int argc, char** argv) {
    keep_freed_memory();
    return seedbed::run_command_line({argv + 1, argv + argc});
}
