#include "core/image/reading_queue.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "core/device/uring_io_queue.hpp"

namespace seedbed {

namespace {

/// Sequential reads do not get faster with requests larger than most_request, or more of them.
constexpr std::int64_t least_request = 1 << 20;
constexpr std::int64_t most_request = 4 << 20;
constexpr int most_requests = 32;
/// Threads that read through the page cache: they only copy, because the kernel reads ahead.
constexpr int most_readers = 4;

} // namespace

std::unique_ptr<io_queue> make_reading_queue(block_device& device, io_profile const& profile) {
    auto in_order = profile;
    in_order.threads = std::min(profile.threads, most_readers);
    in_order.queue_depth = std::min(profile.queue_depth, most_requests);
    if (wants_ring(device, in_order)) {
        if (auto ring = make_uring_io_queue(device, in_order, {})) {
            return std::move(*ring);
        }
    }
    return make_thread_io_queue(device, in_order);
}

std::int64_t reading_request(io_profile const& profile) noexcept {
    return std::clamp(profile.read_ahead, least_request, most_request);
}

io_error first_unreadable(block_device& device, io_error const& failed) {
    constexpr std::int64_t page = 4096;
    std::array<std::byte, page> buffer{};
    auto const end = failed.offset + failed.length;
    for (auto at = failed.offset; at < end; at += page) {
        auto const length = static_cast<std::size_t>(std::min(page, end - at));
        if (auto const again = device.read(at, std::span(buffer).first(length)); !again) {
            return again.error();
        }
    }
    return failed;
}

} // namespace seedbed
