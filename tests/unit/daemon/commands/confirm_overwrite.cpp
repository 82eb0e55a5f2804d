#include "daemon/commands/confirm_overwrite.hpp"

#include <filesystem>
#include <fstream>
#include <optional>

#include <catch2/catch.hpp>

#include "support/temp_dir.hpp"

using namespace seedbed;

TEST_CASE("a device that was replaced after it was shown is recognised") {
    test::temp_dir const folder;
    auto const path = (folder / "target").string();
    std::ofstream(path) << "one";
    auto const identified = identify_device(path);
    REQUIRE(identified);
    auto const shown = std::optional(*identified);
    CHECK_FALSE(why_replaced(path, shown));
    std::ofstream(path) << "eno"; // as large
    CHECK_FALSE(why_replaced(path, shown));

    std::ofstream(folder / "other") << "two";
    std::filesystem::rename(folder / "other", path);
    auto const why = why_replaced(path, shown);
    REQUIRE(why);
    CHECK_THAT(*why, Catch::StartsWith(path + ": was replaced after it was shown: "));
    CHECK_FALSE(why_replaced(path, std::nullopt)); // unknown: not compared
    std::filesystem::remove(path);
    CHECK_FALSE(why_replaced(path, shown)); // refused when it is opened
}

TEST_CASE("a disk without serial number and sequence number is not compared") {
    test::temp_dir const folder;
    std::ofstream(folder / "target") << "one";
    device_identity disk;
    disk.block_device = true;
    CHECK_FALSE(why_replaced((folder / "target").string(), disk));
    disk.serials = {"S1"};
    CHECK(why_replaced((folder / "target").string(), disk));
}
