#include "daemon/swarm/ahead_extension.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "session_fixture.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

constexpr int piece_length = 512 << 10;
constexpr int blocks = 32; ///< of a piece
constexpr int ahead = 16;  ///< blocks

/// A target of two pieces, and a seed under the test's control.
struct ahead_test {
    /// \param fast whether the seed supports the Fast Extension.
    explicit ahead_test(bool fast = false)
        : seed(wire_peer::create(loop.context, image.torrent())) {
        target.add(store.checked_spec());
        target.run_until("checked");
        if (fast) {
            seed->support_fast();
        }
        seed->connect(endpoint(3).address(), endpoint(2));
        loop.run_until([this] { return seed->extension_handshake.has_value(); });
        seed->send(wire_peer::bitfield, "\xc0");
    }
    /// It gives piece 1, and the first requests for it arrive.
    void give_piece() {
        withhold_all();
        seed->send(wire_peer::unchoke);
        seed->send(wire_peer::have, big_endian(1));
        loop.run_until([this] { return requests().size() > ahead; });
    }
    void withhold_all() {
        auto const number = (*seed->extension_handshake)["m"]["lt_donthave"].integer();
        for (std::uint32_t const piece : {0U, 1U}) {
            seed->send(wire_peer::extended, std::string(1, static_cast<char>(number)) + big_endian(piece));
        }
    }
    /// The payloads of the requests so far.
    [[nodiscard]] std::vector<std::string> requests() const {
        std::vector<std::string> found;
        for (auto const& [type, payload] : seed->messages) {
            if (type == wire_peer::request) {
                found.push_back(payload);
            }
        }
        return found;
    }
    [[nodiscard]] static std::string request_of(int piece, int block) {
        constexpr std::uint32_t length = 16 << 10;
        return big_endian(static_cast<std::uint32_t>(piece)) + big_endian(static_cast<std::uint32_t>(block) * length) +
               big_endian(length);
    }
    /// Sends the block that request number \p which is for.
    void answer(std::size_t which) {
        auto const wanted = requests()[which].substr(0, 8);
        auto const number = [&wanted](std::size_t at) {
            return std::size_t{static_cast<unsigned char>(wanted[at + 1])} << 16 |
                   std::size_t{static_cast<unsigned char>(wanted[at + 2])} << 8 |
                   std::size_t{static_cast<unsigned char>(wanted[at + 3])};
        };
        seed->send(wire_peer::piece, wanted + image.content().substr(number(0) * piece_length + number(4), 16 << 10));
    }

    test_loop loop;
    test_image image{2, piece_length};
    test_store store{image, image_mode::deploy, image.empty_file()};
    session_with_torrent target{loop, store, 2};
    std::shared_ptr<wire_peer> seed;
};

} // namespace

TEST_CASE("ahead: the blocks of a piece that a seed gives are requested in order, many at a time, and once") {
    ahead_test t;
    t.give_piece();
    t.target.round_trip();
    CHECK(t.requests().size() < blocks);
    std::size_t answered = 0;
    auto const answer_all = [&](std::size_t count) {
        t.loop.run_until([&] {
            while (answered < t.requests().size()) {
                t.answer(answered++);
            }
            return answered == count;
        });
    };
    answer_all(blocks);
    t.seed->send(wire_peer::have, big_endian(0));
    answer_all(2 * blocks);
    t.target.run_until("complete");
    std::vector<std::string> expected;
    for (int const piece : {1, 0}) {
        for (int block = 0; block < blocks; ++block) {
            expected.push_back(ahead_test::request_of(piece, block));
        }
    }
    CHECK(t.requests() == expected);
}

TEST_CASE("ahead: a seed that chokes the target is sent all requests again") {
    ahead_test t;
    t.give_piece();
    auto const before = t.requests().size();
    t.seed->send(wire_peer::choke);
    t.seed->send(wire_peer::unchoke);
    t.loop.run_until([&] { return t.requests().size() > before + ahead; });
    CHECK(t.requests()[before] == ahead_test::request_of(1, 0));
}

TEST_CASE("ahead: a block that a seed rejects before it is needed is requested again when it is") {
    ahead_test t(true);
    t.give_piece();
    constexpr std::size_t rejected = 8;
    t.seed->send(wire_peer::reject, t.requests()[rejected]);
    for (std::size_t block = 0; block < rejected; ++block) {
        t.answer(block);
    }
    t.loop.run_until([&] { return std::ranges::count(t.requests(), ahead_test::request_of(1, rejected)) == 2; });
}

TEST_CASE("ahead: a piece that a seed gives to all is requested as libtorrent sees fit") {
    ahead_test t;
    t.seed->send(wire_peer::unchoke);
    t.loop.run_until([&] { return !t.requests().empty(); });
    t.target.round_trip();
    CHECK(t.requests().size() < ahead);
}
