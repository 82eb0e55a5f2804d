#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <libtorrent/entry.hpp>

#include "core/image/image_torrent.hpp"

namespace seedbed::test {

/// A new peer id: "-XX0001-" and a number.
[[nodiscard]] std::string unique_peer_id();

/// A BitTorrent peer under the control of a test: it sends messages on demand and records those that it receives.
///
/// Threads: everything runs on the thread of the io_context. Lives in a std::shared_ptr.
class wire_peer : public std::enable_shared_from_this<wire_peer> {
public:
    using tcp = boost::asio::ip::tcp;
    // Message types of BEP 3, 6, 10 and 52.
    static constexpr int choke = 0;
    static constexpr int unchoke = 1;
    static constexpr int interested = 2;
    static constexpr int have = 4;
    static constexpr int bitfield = 5;
    static constexpr int request = 6;
    static constexpr int piece = 7;
    static constexpr int reject = 16;
    static constexpr int allowed_fast = 17;
    static constexpr int extended = 20;
    static constexpr int hash_request = 21;
    static constexpr int hashes = 22;
    // The numbers of extended messages (BEP 10) that this peer chooses.
    static constexpr int dont_have = 7;
    static constexpr int upload_only = 3;

    struct message {
        int type = 0;
        std::string payload;
    };

    /// \param peer_id 20 characters.
    [[nodiscard]] static std::shared_ptr<wire_peer>
    create(boost::asio::io_context& context, image_torrent const& torrent, std::string peer_id = unique_peer_id());
    /// Offers the Fast Extension (BEP 6) in its handshake.
    void support_fast();
    /// Connects from address \p from, and sends a handshake.
    void connect(boost::asio::ip::address const& from, tcp::endpoint const& to);
    /// Accepts one connection on \p at, and sends a handshake.
    void accept(tcp::endpoint const& at);
    void close();
    /// Reads one message more at most.
    void stop_reading() { m_reads = false; }

    void send(int type, std::string const& payload = {});
    /// Sends the beginning of a message of \p length bytes.
    void send_beginning(std::uint32_t length, int type, std::string const& payload);
    void send_extension_handshake(libtorrent::entry const& handshake);
    /// Requests the whole of a piece in blocks.
    void request_piece(int piece, int piece_length);
    /// Requests the first \p length bytes of a piece \p times, in one write.
    void request_repeatedly(int piece, int times, int length = 16 << 10);
    /// Requests all hashes of the blocks of a file of BitTorrent v2 (BEP 52) \p times, in one write.
    void request_hashes_repeatedly(std::string const& root, int blocks, int times);

    [[nodiscard]] int count(int type) const;
    /// The payloads of received extended messages with this number.
    [[nodiscard]] std::vector<std::string> extended_payloads(int number) const;
    bool connected = false; ///< the other side's handshake has arrived
    bool closed = false;    ///< by the other side
    std::vector<message> messages;
    std::set<std::uint32_t> withheld;                     ///< pieces whose last news was lt_donthave, not HAVE
    std::optional<libtorrent::entry> extension_handshake; ///< the other side's

private:
    wire_peer(boost::asio::io_context& context, image_torrent const& torrent, std::string peer_id);
    void begin();
    void read_length();
    void read_message(std::uint32_t length);
    void take(std::string const& bytes);
    void write(std::string const& bytes);
    void write_repeatedly(std::string const& bytes, int times);

    tcp::socket m_socket;
    tcp::acceptor m_acceptor;
    std::string m_handshake;
    std::string m_in;
    bool m_reads = true;
};

/// A 4-byte big-endian number.
[[nodiscard]] std::string big_endian(std::uint32_t number);

} // namespace seedbed::test
