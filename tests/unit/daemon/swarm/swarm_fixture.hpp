#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "config/settings.hpp"
#include "core/backend/backend.hpp"
#include "core/device/block_device.hpp"
#include "core/image/image_torrent.hpp"
#include "daemon/swarm/torrent_listener.hpp"
#include "daemon/swarm/torrent_spec.hpp"
#include "support/temp_dir.hpp"

namespace seedbed::test {

using boost::asio::ip::tcp;

/// The main thread's io_context. Awaits events with a deadline.
class test_loop {
public:
    boost::asio::io_context context;

    /// Runs handlers until \p condition holds. \return whether it did before \p limit.
    [[nodiscard]] bool reaches(std::function<bool()> const& condition, std::chrono::milliseconds limit);
    /// The same, but fails the test.
    void run_until(std::function<bool()> const& condition, std::chrono::seconds limit = std::chrono::seconds(30));

private:
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> m_work{context.get_executor()};
};

/// Address number \p n, from 1 to 200, of this process's addresses in 127.0.0.0/8: tests that run at the same
/// time do not interfere. The number is the last byte.
[[nodiscard]] std::string loopback(int n);
/// "ADDRESS:PORT" of loopback(n).
[[nodiscard]] ip_endpoint listener(int n, int port = 6881);
[[nodiscard]] tcp::endpoint endpoint(int n, int port = 6881);
/// Settings of a session that listens on loopback(n) and does not use multicast.
[[nodiscard]] network_settings network_on(int n);

/// An image in a file, and its torrent.
class test_image {
public:
    explicit test_image(int pieces, int piece_length = 64 << 10);
    /// With a torrent of BitTorrent v2 only, in pieces of one block.
    [[nodiscard]] static test_image v2(int pieces);

    [[nodiscard]] image_torrent const& torrent() const noexcept { return m_torrent; }
    [[nodiscard]] std::string const& content() const noexcept { return m_content; }
    [[nodiscard]] int pieces() const noexcept { return m_torrent.piece_count; }
    /// A new file with the image's content.
    [[nodiscard]] std::filesystem::path full_file(std::string const& name = "source") const;
    /// A full file with one wrong byte in \p piece.
    [[nodiscard]] std::filesystem::path damaged_file(int piece) const;
    /// A new file of the image's size, all zeros.
    [[nodiscard]] std::filesystem::path empty_file(std::string const& name = "target") const;
    [[nodiscard]] static std::string read(std::filesystem::path const& file);

private:
    using torrent_maker = image_torrent (*)(std::filesystem::path const& folder, std::string const& content,
                                            int piece_length);
    test_image(int pieces, int piece_length, torrent_maker make);

    temp_dir m_folder;
    std::string m_content;
    image_torrent m_torrent;
};

/// A backend with one image. It must outlive the sessions that use it.
struct test_store {
    test_store(test_image const& image, image_mode mode, std::filesystem::path const& file,
               std::int64_t pool_bytes = 32 << 20);
    /// A seed's, on a fake device.
    test_store(test_image const& image, std::unique_ptr<block_device> device, std::int64_t pool_bytes = 32 << 20);
    ~test_store();

    /// Without pieces: libtorrent checks the file.
    [[nodiscard]] torrent_spec spec() const;
    /// With all pieces for a seed, with none for a deployment.
    [[nodiscard]] torrent_spec checked_spec() const;

    std::shared_ptr<backend> shared;
    std::shared_ptr<served_image> storage;
    image_mode mode;
};

/// Records the events of a torrent.
class recording_listener final : public torrent_listener {
public:
    void on_checked() override { events.emplace_back("checked"); }
    void on_complete() override { events.emplace_back("complete"); }
    void on_content_differs() override { events.emplace_back("differs"); }
    void on_pieces(std::vector<bool> const& written) override {
        events.emplace_back("pieces");
        pieces = written;
    }
    void on_piece_damaged(int piece) override {
        events.emplace_back("damaged");
        damaged_piece = piece;
    }
    void on_peer_banned(boost::asio::ip::tcp::endpoint const& peer, int /*other_sources*/) override {
        events.emplace_back("banned");
        banned = peer;
    }
    void on_torrent_error(std::string const& reason) override {
        events.emplace_back("error");
        error = reason;
    }
    void on_progress(torrent_progress const& now) override {
        progress = now;
        ++progress_count;
    }
    void on_removed() override { events.emplace_back("removed"); }

    [[nodiscard]] bool has(std::string const& event) const;

    std::vector<std::string> events; ///< without progress
    std::vector<bool> pieces;
    int damaged_piece = -1;
    boost::asio::ip::tcp::endpoint banned;
    std::string error;
    torrent_progress progress;
    int progress_count = 0;
};

} // namespace seedbed::test
