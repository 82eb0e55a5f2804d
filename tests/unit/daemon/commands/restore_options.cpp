#include "daemon/commands/restore_options.hpp"

#include <fstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "support/temp_dir.hpp"

using namespace seedbed;

namespace {

std::string refusal(std::vector<std::string> const& arguments) {
    auto const parsed = parse_restore_options(arguments);
    return parsed ? "accepted" : parsed.error().message;
}

} // namespace

TEST_CASE("restore: the torrent lies beside the packed file") {
    auto const parsed = parse_restore_options({"/srv/win.11.sbi", "/dev/sda1"});
    REQUIRE(parsed);
    CHECK(parsed->packed == "/srv/win.11.sbi");
    CHECK(parsed->torrent == "/srv/win.11.torrent");
    CHECK(parsed->device == "/dev/sda1");
    CHECK(parsed->verify);
    CHECK(parsed->wipe_signatures);
    CHECK_FALSE(parsed->yes);
    CHECK(parse_restore_options({"a.sbi", "b", "--torrent", "c"})->torrent == "c");
}

TEST_CASE("restore: options about the device") {
    auto const parsed = parse_restore_options({"a.sbi", "b", "--yes", "--serial", "S", "--size", "20 GiB", "--profile",
                                               "hdd", "--no-verify", "--no-wipe-signatures", "--allow-mismatch",
                                               "--new-ids", "--receipt", "r.json"});
    REQUIRE(parsed);
    CHECK(parsed->yes);
    CHECK(parsed->serial == "S");
    CHECK(parsed->size == 20LL << 30);
    CHECK(parsed->profile == storage_class::hdd);
    CHECK(parsed->allow_mismatch);
    CHECK(parsed->new_ids);
    CHECK(parsed->receipt == "r.json");
    CHECK_FALSE(parsed->verify);
    CHECK_FALSE(parsed->wipe_signatures);
}

TEST_CASE("restore: refuses wrong command lines") {
    CHECK(refusal({}) == "X.sbi and DEVICE are missing");
    CHECK(refusal({"a.sbi"}) == "DEVICE is missing");
    CHECK(refusal({"a.sbi", "b", "c"}) == "too many arguments");
    CHECK(refusal({"a.sbi", "b", "--verify", "--no-verify"}) == "--verify and --no-verify are mutually exclusive");
    CHECK(refusal({"a.sbi", "b", "--discard", "--no-wipe-signatures"}) ==
          "--discard and --no-wipe-signatures are mutually exclusive");
    CHECK(parse_restore_options({"a.sbi", "b", "--discard"})->discard);
    CHECK_THAT(refusal({"a.sbi", "b", "--size", "big"}), Catch::StartsWith("--size "));
    CHECK(refusal({"a.sbi", "b", "--profile", "tape"}) == "--profile tape: expected hdd, sata_ssd or nvme");
    test::temp_dir const folder;
    auto const file = (folder / "x.sbi").string();
    std::ofstream(file) << "x";
    CHECK(refusal({file, (folder.path() / "." / "x.sbi").string()}) == "DEVICE is the packed image itself");
}
