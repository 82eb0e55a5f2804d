#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include "config/settings.hpp"
#include "core/backend/backend.hpp"
#include "core/backend/io_waiter.hpp"
#include "core/foundation/worker_pool.hpp"
#include "daemon/image/checkpoint_store.hpp"
#include "daemon/image/image_runner.hpp"
#include "daemon/image/status_line.hpp"
#include "fake_swarm.hpp"
#include "support/fake_block_device.hpp"
#include "support/temp_dir.hpp"

namespace seedbed::test {

/// One image from opening to closing without a network: real files, workers and backend, a fake swarm, and a main
/// thread that the test runs by hand.
///
/// The image has three pieces in two extents, and the torrent has their true hashes. A deployment's target starts as
/// zeros, a seed's source as the image.
///
/// Threads: one; start() at most once at a time.
class image_fixture {
public:
    static constexpr int piece_count = 3;
    static constexpr std::int32_t piece_length = 16384;                    ///< bytes
    static constexpr std::int64_t total = 45'000;                          ///< bytes of the image
    static constexpr std::int64_t device_size = 81'920;                    ///< bytes
    static constexpr std::int64_t last_byte = 40'960 + total - 20'000 - 1; ///< of the image, on the device

    explicit image_fixture(image_mode mode);
    image_fixture(image_fixture const&) = delete;
    image_fixture& operator=(image_fixture const&) = delete;
    ~image_fixture();

    /// The next start() gets a device that fails, holds and forgets on demand; its file remains for the identity.
    fake_block_device& use_fake_device();

    /// The context of this fixture's image.
    [[nodiscard]] image_services services();
    /// Makes the image and starts it.
    void start();
    /// Runs the main thread until \p condition holds; fails the test after a minute.
    void run_until(std::function<bool()> const& condition);
    void run_until(image_state state);
    /// Runs the main thread until the image is in the swarm; its device has been checked by then.
    void run_until_joined();
    /// Runs the handlers that are ready now, and those of work finished by then.
    void run_ready();
    /// Closes the image and waits for it.
    void close();
    /// The end of a daemon and the start of the next: closes the image, forgets calls, reports and log.
    void restart();

    /// A deployment up to the point at which the device is checked and holds nothing.
    void start_download();
    /// Writes the pieces to the device, as the engine would, and reports them complete.
    void complete_download();
    /// A whole deployment.
    void deploy();
    /// Writes a piece of the image to the device; not durable on a fake one.
    void put_piece(int piece);
    /// The engine takes the first block of a piece to write; it is on the device when the engine has written it.
    void take_block(int piece);
    /// Changes a byte of the last piece in the file, but not its time of change: only reading finds it.
    void damage_last_piece() const;
    /// Makes the device's file appear to be written to.
    void touch_device() const;

    [[nodiscard]] image_state state() const { return job->state(); }
    [[nodiscard]] std::string line() const { return status_line(job->status()); }
    [[nodiscard]] std::string device_path() const { return wanted.device; }
    /// Whether the device is free: the guards of a new deployment pass.
    [[nodiscard]] bool device_is_free() const;
    /// The checkpoint on the disk, if any.
    [[nodiscard]] std::optional<checkpoint> saved() const;
    /// Whether a line that contains \p text was logged.
    [[nodiscard]] bool logged(std::string const& text) const;
    /// The number of such lines.
    [[nodiscard]] int count_lines(std::string const& text) const;
    /// The last line that contains \p text, or an empty one.
    [[nodiscard]] std::string last_line(std::string const& text) const;

    temp_dir folder;
    std::vector<std::byte> content; ///< of the image
    settings in_force;
    image_settings wanted;
    boost::asio::io_context main{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{main.get_executor()};
    fake_swarm swarm{main};
    fake_reports reports;
    checkpoint_store store;
    std::shared_ptr<backend> shared;
    worker_pool setup{"setup", 2};
    std::function<std::uint16_t()> report_port;
    bool trust_proof = true;
    std::chrono::milliseconds source_interval{3'600'000};
    std::chrono::milliseconds damage_pause{1'000}; ///< see image_services
    std::chrono::milliseconds read_back_interval{3'600'000};
    device_ends ends{0, 0};          ///< see image_services; the image is smaller than the usual ones
    int changes = 0;                 ///< calls of on_change
    std::vector<image_state> states; ///< all that on_change saw
    std::shared_ptr<image_runner> job;

private:
    /// Drops the blocks of take_block() when they are written.
    struct write_sink final : waiter_sink {
        void deliver(waiter_list waiters, io_error const* failed) override;
    };

    write_sink m_written;
    std::deque<io_waiter> m_writes;
    std::unique_ptr<fake_block_device> m_next_device;
    fake_block_device* m_device = nullptr; ///< in use by the image
    mutable std::mutex m_log_mutex;        ///< guards the next
    std::vector<std::string> m_log;
};

} // namespace seedbed::test
