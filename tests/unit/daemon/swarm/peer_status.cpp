#include "daemon/swarm/peer_status.hpp"

#include <cstdint>
#include <string>
#include <utility>

#include <catch2/catch.hpp>

using namespace seedbed;

namespace {

peer_status peer(std::string id, std::int64_t uploaded) {
    peer_status status;
    status.id = std::move(id);
    status.uploaded = uploaded;
    return status;
}

} // namespace

TEST_CASE("peer list: each peer id appears once, with the entry that has uploaded more") {
    auto const list = without_twins({peer("b", 0), peer("a", 1), peer("c", 3), peer("b", 7)});
    REQUIRE(list.size() == 3);
    CHECK(list[0].id == "a");
    CHECK(list[1].id == "b");
    CHECK(list[1].uploaded == 7);
    CHECK(list[2].id == "c");
    CHECK(without_twins({}).empty());
}
