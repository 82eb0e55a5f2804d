#include "core/device/io_profile.hpp"

#include <catch2/catch.hpp>

using namespace seedbed;
using std::chrono::milliseconds;

TEST_CASE("each class has its own number of threads") {
    CHECK(default_profile(storage_class::hdd).threads == 2);
    CHECK(default_profile(storage_class::sata_ssd).threads == 8);
    CHECK(default_profile(storage_class::nvme).threads == 32);
}

TEST_CASE("the defaults are as documented and valid") {
    CHECK(default_profile(storage_class::hdd) == io_profile{.backlog_runs = 4, .elevator = true});
    CHECK(default_profile(storage_class::sata_ssd) == io_profile{8, 1 << 20, 1, milliseconds(100), 512 << 10, 16});
    CHECK(default_profile(storage_class::nvme) == io_profile{32, 1 << 20, 1, milliseconds(100), 1 << 20, 64});
    CHECK(io_profile{} == io_profile{2, 4 << 20, 1, milliseconds(50), 16 << 20, 2});
    for (auto cls : {storage_class::hdd, storage_class::sata_ssd, storage_class::nvme}) {
        CHECK(out_of_limits(default_profile(cls)).empty());
    }
}

TEST_CASE("both ends of every limit are allowed; one step beyond is not") {
    io_profile const lowest{1, 16 << 10, 1, milliseconds(0), 16 << 10};
    io_profile const highest{256, 64 << 20, 1, milliseconds(10'000), 16 << 20};
    CHECK(out_of_limits(lowest).empty());
    CHECK(out_of_limits(highest).empty());

    auto const changed = [](io_profile profile, auto field, int by) {
        profile.*field += typename std::decay_t<decltype(profile.*field)>(by);
        return out_of_limits(profile);
    };
    CHECK(changed(lowest, &io_profile::threads, -1) == "threads");
    CHECK(changed(highest, &io_profile::threads, 1) == "threads");
    CHECK(changed(lowest, &io_profile::coalesce, -1) == "coalesce");
    CHECK(changed(highest, &io_profile::coalesce, 1) == "coalesce");
    CHECK(changed(lowest, &io_profile::delay, -1) == "delay");
    CHECK(changed(highest, &io_profile::delay, 1) == "delay");
    CHECK(changed(lowest, &io_profile::read_ahead, -1) == "read_ahead");
    CHECK(changed(highest, &io_profile::read_ahead, 1) == "read_ahead");
}
