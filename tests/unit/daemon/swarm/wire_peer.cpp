#include "wire_peer.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <libtorrent/bdecode.hpp>
#include <libtorrent/bencode.hpp>
#include <libtorrent/span.hpp>

#include "core/backend/backend.hpp"

namespace seedbed::test {

namespace asio = boost::asio;
namespace lt = libtorrent;

namespace {

constexpr std::size_t handshake_size = 68;
constexpr int block = 16 << 10;

std::uint32_t number_at(std::string const& bytes, std::size_t at) {
    std::uint32_t number = 0;
    for (std::size_t i = 0; i < 4; ++i) {
        number = number << 8 | static_cast<unsigned char>(bytes.at(at + i));
    }
    return number;
}

} // namespace

std::string unique_peer_id() {
    static int last = 0;
    auto const number = std::to_string(++last);
    return "-XX0001-" + std::string(12 - number.size(), '0') + number;
}

std::string big_endian(std::uint32_t number) {
    std::string bytes;
    for (int const shift : {24, 16, 8, 0}) {
        bytes += static_cast<char>(number >> shift & 0xff);
    }
    return bytes;
}

std::shared_ptr<wire_peer> wire_peer::create(asio::io_context& context, image_torrent const& torrent,
                                             std::string peer_id) {
    return std::shared_ptr<wire_peer>(new wire_peer(context, torrent, std::move(peer_id)));
}

wire_peer::wire_peer(asio::io_context& context, image_torrent const& torrent, std::string peer_id)
    : m_socket(context)
    , m_acceptor(context) {
    std::string reserved(8, '\0');
    reserved[5] = 0x10; // BEP 10
    m_handshake = "\x13"
                  "BitTorrent protocol" +
                  reserved + std::string(backend::key_of(torrent).bytes()) + peer_id;
}

void wire_peer::support_fast() {
    constexpr std::size_t last_reserved = 27;
    m_handshake[last_reserved] = '\x04';
}

void wire_peer::connect(asio::ip::address const& from, tcp::endpoint const& to) {
    m_socket.open(to.protocol());
    m_socket.bind({from, 0});
    m_socket.async_connect(to, [self = shared_from_this()](boost::system::error_code const& ec) {
        self->closed = bool(ec);
        if (!ec) {
            self->begin();
        }
    });
}

void wire_peer::accept(tcp::endpoint const& at) {
    m_acceptor.open(at.protocol());
    m_acceptor.set_option(tcp::acceptor::reuse_address(true));
    m_acceptor.bind(at);
    m_acceptor.listen();
    m_acceptor.async_accept(m_socket, [self = shared_from_this()](boost::system::error_code const& ec) {
        if (!ec) {
            self->begin();
        }
    });
}

void wire_peer::close() {
    boost::system::error_code ignored; // closed already
    m_socket.close(ignored);
    m_acceptor.close(ignored);
}

void wire_peer::begin() {
    write(m_handshake);
    m_in.resize(handshake_size);
    asio::async_read(m_socket, asio::buffer(m_in),
                     [self = shared_from_this()](boost::system::error_code const& ec, std::size_t) {
                         self->closed = bool(ec);
                         if (!ec) {
                             self->connected = true;
                             self->read_length();
                         }
                     });
}

void wire_peer::read_length() {
    if (!m_reads) {
        return;
    }
    m_in.resize(4);
    asio::async_read(m_socket, asio::buffer(m_in),
                     [self = shared_from_this()](boost::system::error_code const& ec, std::size_t) {
                         self->closed = bool(ec);
                         if (!ec) {
                             self->read_message(number_at(self->m_in, 0));
                         }
                     });
}

void wire_peer::read_message(std::uint32_t length) {
    if (length == 0) { // a keep-alive
        read_length();
        return;
    }
    m_in.resize(length);
    asio::async_read(m_socket, asio::buffer(m_in),
                     [self = shared_from_this()](boost::system::error_code const& ec, std::size_t) {
                         self->closed = bool(ec);
                         if (!ec) {
                             self->take(self->m_in);
                             self->read_length();
                         }
                     });
}

void wire_peer::take(std::string const& bytes) {
    auto const type = static_cast<unsigned char>(bytes[0]);
    messages.push_back({type, bytes.substr(1)});
    if (type == have) {
        withheld.erase(number_at(bytes, 1));
    } else if (type == extended && bytes.size() > 2 && bytes[1] == 0) {
        extension_handshake.emplace() = lt::bdecode(lt::span<char const>(bytes).subspan(2));
    } else if (type == extended && bytes.at(1) == dont_have) {
        withheld.insert(number_at(bytes, 2));
    }
}

void wire_peer::write(std::string const& bytes) {
    boost::system::error_code ec;
    asio::write(m_socket, asio::buffer(bytes), ec);
    closed = closed || ec;
}

void wire_peer::send(int type, std::string const& payload) {
    send_beginning(static_cast<std::uint32_t>(payload.size() + 1), type, payload);
}

void wire_peer::send_beginning(std::uint32_t length, int type, std::string const& payload) {
    write(big_endian(length) + static_cast<char>(type) + payload);
}

void wire_peer::send_extension_handshake(lt::entry const& handshake) {
    std::string payload(1, '\0');
    lt::bencode(std::back_inserter(payload), handshake);
    send(extended, payload);
}

void wire_peer::request_piece(int which, int piece_length) {
    for (int start = 0; start < piece_length; start += block) {
        send(request, big_endian(static_cast<std::uint32_t>(which)) + big_endian(static_cast<std::uint32_t>(start)) +
                          big_endian(static_cast<std::uint32_t>(std::min(block, piece_length - start))));
    }
}

void wire_peer::request_repeatedly(int which, int times, int length) {
    write_repeatedly(big_endian(13) + static_cast<char>(request) + big_endian(static_cast<std::uint32_t>(which)) +
                         big_endian(0) + big_endian(static_cast<std::uint32_t>(length)),
                     times);
}

void wire_peer::request_hashes_repeatedly(std::string const& root, int blocks, int times) {
    write_repeatedly(big_endian(49) + static_cast<char>(hash_request) + root + big_endian(0) + big_endian(0) +
                         big_endian(static_cast<std::uint32_t>(blocks)) + big_endian(0),
                     times);
}

void wire_peer::write_repeatedly(std::string const& bytes, int times) {
    std::string all;
    for (int i = 0; i < times; ++i) {
        all += bytes;
    }
    write(all);
}

int wire_peer::count(int type) const {
    return static_cast<int>(std::ranges::count(messages, type, &message::type));
}

std::vector<std::string> wire_peer::extended_payloads(int number) const {
    std::vector<std::string> found;
    for (auto const& each : messages) {
        if (each.type == extended && static_cast<unsigned char>(each.payload.at(0)) == number) {
            found.push_back(each.payload.substr(1));
        }
    }
    return found;
}

} // namespace seedbed::test
