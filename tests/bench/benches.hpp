#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace seedbed::bench {

/// A bench's options from the command line.
struct bench_options {
    std::vector<std::string> sides;  ///< see side
    std::string folder = "/dev/shm"; ///< for images; the bench makes a folder in it and removes it
    std::int64_t size = 1LL << 30;   ///< bytes of the image
    int runs = 3;                    ///< of each side, in turn
    int leechers = 1;
    bool lazy = false;          ///< swarm: the seeder hashes each piece once, before it is first sent
    int open = 4;               ///< backend: pieces that arrive at once, block by block in turn
    int outstanding = 4096;     ///< backend: the most blocks in flight
    double rate = 0;            ///< backend: MiB/s that arrive for writing; 0: as fast as possible
    std::string load = "write"; ///< backend: write, read or mixed
    std::string device;         ///< backend, ours: a block device instead of a file
    std::string json;           ///< a file for the results
};

/// A seeder and leechers, each a process, on loopback: both ends of the wire use the same side.
void run_swarm_bench(bench_options const& options);
/// lt::disk_interface driven directly with the same operations.
void run_backend_bench(bench_options const& options);

} // namespace seedbed::bench
