#include "support/power_cut_disk.hpp"

#include <cerrno>
#include <set>
#include <vector>

#include <catch2/catch.hpp>

using namespace seedbed;
using seedbed::test::power_cut_disk;
using loss = power_cut_disk::loss;

namespace {

using bytes = std::vector<std::byte>;

bytes filled(std::size_t length, int value) {
    return bytes(length, std::byte(value));
}

/// What \p how leaves of one unflushed write of two sectors, over many power cuts.
std::set<bytes> remains(loss how) {
    std::set<bytes> found;
    for (std::uint32_t seed = 0; seed < 200; ++seed) {
        power_cut_disk disk(filled(1024, 0), seed);
        disk.power_on(0, how, {});
        REQUIRE(disk.open("disk")->write(0, filled(1024, 1)));
        disk.end_now(how);
        found.insert(disk.medium());
    }
    return found;
}

bytes halves(int first, int second) {
    auto both = filled(512, first);
    auto const rest = filled(512, second);
    both.insert(both.end(), rest.begin(), rest.end());
    return both;
}

} // namespace

TEST_CASE("a power cut spares what was flushed, whatever it loses") {
    for (auto const how : {loss::everything, loss::whole_writes, loss::sectors, loss::torn_last, loss::nothing}) {
        power_cut_disk disk(filled(1024, 0), 1);
        disk.power_on(0, how, {});
        auto const device = disk.open("disk");
        REQUIRE(device->write(0, filled(1024, 1)));
        REQUIRE(device->flush());
        disk.end_now(how);
        CHECK(disk.medium() == filled(1024, 1));
    }
}

TEST_CASE("each loss leaves what its name says of a write that was not flushed") {
    auto const none = halves(0, 0);
    auto const all = halves(1, 1);
    CHECK(remains(loss::everything) == std::set{none});
    CHECK(remains(loss::nothing) == std::set{all});
    CHECK(remains(loss::whole_writes) == std::set{none, all});
    CHECK(remains(loss::sectors) == std::set{none, halves(0, 1), halves(1, 0), all});
    CHECK(remains(loss::torn_last) == std::set{none, halves(1, 0), all});
}

TEST_CASE("the program ends at the chosen step, once, and changes nothing afterwards") {
    for (int steps = 1; steps <= 4; ++steps) {
        CAPTURE(steps);
        power_cut_disk disk(filled(1024, 0), 1);
        int ends = 0;
        disk.power_on(steps, loss::nothing, [&ends] { ++ends; });
        auto const device = disk.open("disk");
        auto const written = device->write(0, filled(512, 1));
        CHECK(written.has_value() == (steps > 2));
        auto const flushed = device->flush();
        CHECK_FALSE(flushed);
        CHECK(flushed.error().code == EIO);
        CHECK_FALSE(device->write(512, filled(512, 2)));
        auto buffer = filled(512, 0);
        CHECK_FALSE(device->read(0, buffer));
        CHECK_FALSE(device->read_medium(0, buffer));
        CHECK(ends == 1);
        CHECK(disk.ended());
        CHECK(disk.medium() == (steps == 1 ? halves(0, 0) : halves(1, 0)));
    }
}

TEST_CASE("a killed program's writes stay in the page cache until a later flush") {
    power_cut_disk disk(filled(1024, 0), 1);
    disk.power_on(0, loss::by_kill, {});
    REQUIRE(disk.open("disk")->write(0, filled(512, 1)));
    disk.end_now(loss::by_kill);
    CHECK(disk.medium() == halves(0, 0));

    disk.power_on(0, loss::everything, {});
    auto const device = disk.open("disk");
    auto buffer = filled(512, 0);
    REQUIRE(device->read(0, buffer));
    CHECK(buffer == filled(512, 1));
    REQUIRE(device->flush());
    disk.end_now(loss::everything);
    CHECK(disk.medium() == halves(1, 0));
}
