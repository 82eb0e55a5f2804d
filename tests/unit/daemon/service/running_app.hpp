#pragma once

#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "daemon/service/app.hpp"
#include "daemon/status/status_document.hpp"
#include "support/notify_socket.hpp"
#include "support/temp_dir.hpp"

namespace seedbed::test {

[[nodiscard]] std::uint16_t free_port();
/// Whether something listens on this port of the loopback address.
[[nodiscard]] bool is_open(std::uint16_t port);
/// How many threads of this process have the name.
[[nodiscard]] int threads_named(std::string const& name);

/// A daemon in this process, with small images in its own folder and a configuration that the test rewrites. Its
/// main thread is a thread of the test.
class running_app {
public:
    running_app();
    running_app(running_app const&) = delete;
    running_app& operator=(running_app const&) = delete;
    /// Stops the daemon if the test has not.
    ~running_app();

    // The configuration, used by start() and reload(). Tables end with a newline each.
    std::uint16_t port = free_port();
    std::string network;                        ///< more keys of [network]
    std::string tracker = "enabled = false\n";  ///< the keys of [tracker]
    std::string memory = "pool = \"32 MiB\"\n"; ///< the keys of [memory]
    std::string other;                          ///< whole tables
    std::vector<std::string> images;            ///< see image()

    /// An [[image]] of 64 KiB, made at the first call. \param more further keys.
    [[nodiscard]] std::string image(std::string const& name, std::string const& more = "mode = \"seed\"\n");
    /// Writes the .torrent of an image, with the name \p inner in it.
    void write_torrent(std::string const& name, std::string const& inner);
    [[nodiscard]] std::filesystem::path file(std::string const& name) const { return m_folder / name; }
    void write_config() const;

    /// Starts the daemon and waits for a line with this text.
    void start(std::string const& until = "ready");
    /// Writes the configuration, sends SIGHUP, and waits until the reload has ended. \return its last line.
    std::string reload();
    /// Sends SIGTERM unless it was sent already, and waits for the end of run().
    exit_code stop(bool signalled = false);

    /// Waits for the next line with this text after the previously awaited line; fails after 20 s or when the
    /// daemon has ended.
    std::string await(std::string const& text);
    /// Raises signals on the main thread as soon as it logs a line with this text, once.
    void raise_at(std::string const& text, std::vector<int> signals);
    /// All lines so far that have this text.
    [[nodiscard]] std::vector<std::string> lines(std::string const& text);
    /// Sends a request over the control socket.
    [[nodiscard]] status_snapshot status() const;
    /// The images' names and states, once all are \p state or after 20 s.
    [[nodiscard]] std::vector<std::string> names_in(image_state state) const;
    /// The messages to the service manager since the last call.
    [[nodiscard]] std::vector<std::string> notifications();

private:
    void on_line(std::string_view line);
    /// Empties the socket: a full one blocks the daemon.
    void take_notifications_locked();

    temp_dir const m_folder;
    no_service const m_clean;
    scoped_variable const m_state{"STATE_DIRECTORY", (m_folder / "state").string()};
    notify_socket m_manager{(m_folder / "notify").string()};
    scoped_variable const m_socket{"NOTIFY_SOCKET", (m_folder / "notify").string()};

    std::mutex m_mutex; ///< guards these
    std::condition_variable m_changed;
    std::vector<std::string> m_lines;
    std::vector<std::string> m_notifications;
    std::size_t m_seen = 0;
    bool m_ended = false;
    bool m_may_go = false; ///< the ended daemon may be destroyed
    std::optional<std::pair<std::string, std::vector<int>>> m_raise;

    std::thread m_thread;
    exit_code m_exit = exit_failed;
};

} // namespace seedbed::test
