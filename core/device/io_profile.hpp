#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "core/device/storage_class.hpp"

namespace seedbed {

/// Whether transfers bypass the page cache.
enum class direct_io_mode : std::uint8_t { automatic, on, off };
/// The mechanism that runs transfers.
enum class io_engine_kind : std::uint8_t { automatic, threads, io_uring };

/// As written in the configuration, where automatic is "auto" and direct I/O is true or false.
[[nodiscard]] char const* to_string(io_engine_kind engine) noexcept;
[[nodiscard]] char const* to_string(direct_io_mode mode) noexcept;

/// The I/O settings of a device, by its class; each lies within io_profile_limits. All but direct_io and io_engine can
/// change while the device is in use.
struct io_profile {
    int threads = 2;                      ///< workers of the device's queue
    std::int64_t coalesce = 4LL << 20;    ///< bytes of adjacent blocks that are written without waiting for more
    int backlog_runs = 1;                 ///< multiple of coalesce to write at once if the device has fallen behind
    std::chrono::milliseconds delay{50};  ///< how long a block may wait for its neighbours
    std::int64_t read_ahead = 16LL << 20; ///< bytes read at once for a peer, from one block to one piece
    int queue_depth = 2;                  ///< concurrent transfers with io_uring
    direct_io_mode direct_io = direct_io_mode::automatic;
    io_engine_kind io_engine = io_engine_kind::automatic;
    bool elevator = false; ///< order transfers by their position on the device: for a disk with a head

    friend bool operator==(io_profile const&, io_profile const&) = default;
};

/// The permitted values of io_profile's fields, both ends included.
namespace io_profile_limits {
inline constexpr int min_threads = 1;
inline constexpr int max_threads = 256;
inline constexpr int min_queue_depth = 1;
inline constexpr int max_queue_depth = 1024;
inline constexpr std::int64_t min_coalesce = 16LL << 10; ///< one block
inline constexpr std::int64_t max_coalesce = 64LL << 20;
inline constexpr std::chrono::milliseconds min_delay{0}; ///< a block is written at once
inline constexpr std::chrono::milliseconds max_delay{10'000};
inline constexpr std::int64_t min_read_ahead = 16LL << 10; ///< one block
inline constexpr std::int64_t max_read_ahead = 16LL << 20; ///< one piece of a partclone image
} // namespace io_profile_limits

/// The configuration's name of the first field that lies outside io_profile_limits; empty if none does.
[[nodiscard]] std::string_view out_of_limits(io_profile const& profile) noexcept;

/// The defaults of each class:
///
/// | class    | threads | queue_depth | coalesce | delay  | read_ahead | elevator |
/// |----------|---------|-------------|----------|--------|------------|----------|
/// | HDD      | 2       | 2           | 4 MiB    | 50 ms  | 16 MiB     | yes      |
/// | SATA SSD | 8       | 16          | 1 MiB    | 100 ms | 512 KiB    | no       |
/// | NVMe     | 32      | 64          | 1 MiB    | 100 ms | 1 MiB      | no       |
///
/// A head takes some 15 ms to move, in which the disk could have transferred 2 MiB. With runs of 4 MiB the moves take a
/// third of the time; with runs of 16 MiB, used once the disk has fallen behind, and with reads of a whole piece, a
/// tenth. Two requests keep one waiting in the disk without pulling its head in many directions. Blocks wait for only
/// 50 ms: if the disk keeps up, a longer wait gains nothing, and if it does not, runs grow while they wait for it. A
/// SATA SSD reaches its full rate at some hundred KiB per request, and has 32 places in its queue, of which more than a
/// few only add latency. NVMe takes any number of requests at once. Runs of 1 MiB cost a tenth less processor time than
/// those of 128 to 256 KiB; longer runs gain nothing more. Waiting gains nothing at high rates, and an eighth of the
/// processor time at 20 Mbit/s, where a run would otherwise be of two blocks.
[[nodiscard]] io_profile default_profile(storage_class cls) noexcept;

} // namespace seedbed
