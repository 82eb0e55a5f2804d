#include "daemon/swarm/prompt_extension.hpp"

#include <catch2/catch.hpp>

#include "session_fixture.hpp"

using namespace seedbed;
using namespace seedbed::test;

TEST_CASE("prompt: with each new piece, an interested peer without requests is sent UNCHOKE again") {
    constexpr int pieces = 4;
    test_loop loop;
    test_image const image(pieces);
    test_store source(image, image_mode::seed, image.full_file());
    session_with_torrent seed(loop, source, 1);
    seed.add(source.checked_spec());
    seed.run_until("checked");
    test_store store(image, image_mode::deploy, image.empty_file());
    session_with_torrent target(loop, store, 2);
    target.add(store.checked_spec());

    auto const idle = target.connect(3, 2);
    auto const content = connect_peer(loop, image.torrent(), 4, endpoint(2)); // not interested
    auto const unchokes = idle->count(wire_peer::unchoke);
    target.session.connect(session_with_torrent::number, endpoint(1));
    target.run_until("complete");
    loop.run_until([&] { return content->count(wire_peer::have) == pieces; });
    loop.run_until([&] { return idle->count(wire_peer::unchoke) == unchokes + pieces; });
    CHECK(idle->count(wire_peer::have) == pieces);
    CHECK(content->count(wire_peer::unchoke) == 0);
}
