#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace seedbed::bench {

/// What the command line gives to a bench.
struct bench_options {
    std::vector<std::string> sides;  ///< see side
    std::string folder = "/dev/shm"; ///< where images are made; a folder of the bench's own is made in it and removed
    std::int64_t size = 1LL << 30;   ///< bytes of the image
    int runs = 3;                    ///< of each side, in turns
    int leechers = 1;
    std::string load = "write"; ///< backend: write, read or mixed
    std::string device;         ///< backend, ours: a block device instead of a file
    std::string json;           ///< a file for the results
};

/// A seeder and leechers, a process each, on loopback: both sides of the wire use the same side.
void run_swarm_bench(bench_options const& options);
/// lt::disk_interface driven directly with the same operations.
void run_backend_bench(bench_options const& options);

} // namespace seedbed::bench
