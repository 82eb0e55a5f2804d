#include "daemon/commands/create_options.hpp"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace seedbed;

namespace {

using strings = std::vector<std::string>;

std::string refusal(strings arguments) {
    arguments.insert(arguments.end(), {"-o", "x.torrent"});
    auto const parsed = parse_create_options(arguments);
    return parsed ? "accepted" : parsed.error().message;
}

} // namespace

TEST_CASE("create: the name and the piece size have defaults") {
    auto const parsed = parse_create_options({"/dev/vg/root", "-o", "x.torrent"});
    REQUIRE(parsed);
    CHECK(parsed->source == "/dev/vg/root");
    CHECK(parsed->output == "x.torrent");
    CHECK(parsed->torrent.name == "root");
    CHECK(parsed->torrent.piece_length == 16 << 20);
    CHECK_FALSE(parsed->capture);
    CHECK_FALSE(parsed->force);
}

TEST_CASE("create: a partclone folder implies its torrent.info") {
    auto const parsed = parse_create_options({"--bt-dir", "captured", "--name", "sda1", "-o", "x.torrent"});
    REQUIRE(parsed);
    CHECK(parsed->partclone == "captured/torrent.info");
    CHECK(parsed->torrent.name == "sda1");
}

TEST_CASE("create: a source whose name cannot be an image's needs --name") {
    strings const link{"/dev/disk/by-partlabel/Basic\\x20data\\x20partition"};
    CHECK(refusal(link) == "cannot name the image after SOURCE: image name 'Basic\\x20data\\x20partition' contains a "
                           "backslash; pass --name "
                           "with a name in printable ASCII without backslashes");
    CHECK(refusal({link.front(), "--name", "data"}) == "accepted");
    CHECK_THAT(refusal({"B\xc3\xbcro.img"}), Catch::EndsWith("pass --name with a name in printable ASCII without "
                                                             "backslashes"));
    CHECK(refusal({"sda1.img", "--name", "/dev/sda1"}) == "--name: image name '/dev/sda1' starts with a slash");
    CHECK(refusal({"folder/"}) == "--name is missing");
    CHECK(refusal({"--partclone", "torrent.info"}) == "--name is missing");
}

TEST_CASE("create: refuses options that cannot be combined") {
    CHECK(refusal({}) == "SOURCE or --partclone is missing");
    CHECK(refusal({"a", "--partclone", "b"}) ==
          "SOURCE cannot be combined with --partclone, --bt-dir or --from-partclone");
    CHECK_THAT(refusal({"--partclone", "b", "--no-sparse"}), Catch::EndsWith("need a SOURCE"));
    CHECK_THAT(refusal({"a", "--capture", "--piece-size", "1 MiB"}), Catch::StartsWith("--piece-size does not apply"));
    CHECK_THAT(refusal({"--partclone", "b", "--raw"}), Catch::EndsWith("need a SOURCE"));
    CHECK(refusal({"a", "--capture", "--raw"}) == "--capture and --raw are mutually exclusive");
    CHECK_THAT(refusal({"a", "--raw-if-needed"}), Catch::EndsWith("need --capture or --pack"));
    CHECK_THAT(refusal({"a", "--allow-hibernated"}), Catch::EndsWith("need --capture or --pack"));
    CHECK(refusal({"a", "--capture", "--raw-if-needed", "--allow-hibernated"}) == "accepted");
    CHECK(parse_create_options({"a"}).error().message == "--output is missing");
}

TEST_CASE("create: refuses bad values and names their option") {
    CHECK_THAT(refusal({"a", "--tracker", "ftp://x"}), Catch::StartsWith("--tracker 'ftp://x'"));
    CHECK_THAT(refusal({"a", "--piece-size", "large"}), Catch::StartsWith("--piece-size "));
    CHECK(refusal({"a", "--piece-size", "8 KiB"}) ==
          "--piece-size 8 KiB: expected a power of two from 16 KiB to 64 MiB");
    CHECK(refusal({"a", "--piece-size", "17 KiB"}) ==
          "--piece-size 17 KiB: expected a power of two from 16 KiB to 64 MiB");
    CHECK(refusal({"a", "--piece-size", "128 MiB"}) ==
          "--piece-size 128 MiB: expected a power of two from 16 KiB to 64 MiB");
    CHECK(refusal({"a", "--piece-size", "64 MiB"}) == "accepted");
}

TEST_CASE("create: a packed image is named after its file") {
    auto const parsed = parse_create_options({"/dev/sda1", "--pack", "-o", "/srv/win11.sbi"});
    REQUIRE(parsed);
    CHECK(parsed->pack);
    CHECK(parsed->torrent.name == "win11.sbi");
    CHECK(parsed->torrent.piece_length == 4 << 20);
    CHECK(parsed->level == 1);
    CHECK(parsed->jobs == 0);
}

TEST_CASE("create: refuses options that a packed image excludes or needs") {
    auto const refused = [](strings arguments, std::string const& output = "x.sbi") {
        arguments.insert(arguments.end(), {"--pack", "-o", output});
        auto const parsed = parse_create_options(arguments);
        return parsed ? "accepted" : parsed.error().message;
    };
    CHECK(refused({"a"}) == "accepted");
    CHECK(refused({"a", "--capture", "--raw-if-needed", "--allow-hibernated"}) == "accepted");
    CHECK(refused({"a", "--raw", "--level", "19", "--jobs", "256", "--piece-size", "1 MiB"}) == "accepted");
    CHECK(refused({"a"}, "x.img") == "--output x.img: the name of a packed image must end in .sbi");
    CHECK(refused({"a"}, "folder/.sbi") == "accepted");
    CHECK(refused({"--partclone", "b"}) == "--pack needs a SOURCE or --from-partclone");
    CHECK(refused({"a", "--name", "b"}) == "--name applies to raw images only; a packed image is named after FILE");
    CHECK(refused({"a", "--no-sparse"}) ==
          "--no-sparse applies to raw images only; a packed image holds holes as zeros");
    CHECK(refused({"a", "--raw", "--raw-if-needed"}) == "--raw and --raw-if-needed are mutually exclusive");
    CHECK(refused({"a", "--level", "0"}) == "--level 0: expected 1 to 19");
    CHECK(refused({"a", "--level", "20"}) == "--level 20: expected 1 to 19");
    CHECK(refused({"a", "--jobs", "257"}) == "--jobs 257: expected 1 to 256");
    CHECK(refused({"a", "--jobs", "-1"}) == "--jobs -1: expected 1 to 256");
    CHECK(refused({"a", "--piece-size", "512 KiB"}) ==
          "--piece-size 512 KiB: expected a power of two from 1 MiB to 64 MiB");
    CHECK(refused({"a"}, "B\xc3\xbcro.sbi") ==
          "--output: the image name contains a character that is not printable ASCII");
    for (auto const& [option, value] : {std::pair{"--level", "3"}, {"--jobs", "3"}, {"--web-seed", "http://h/a.sbi"}}) {
        CHECK(refusal({"a", option, value}) == "--level, --jobs and --web-seed need --pack");
    }
}

TEST_CASE("create: the files of a partclone image") {
    auto const parsed = parse_create_options({"--from-partclone", "a.aa", "a.ab", "--pack", "-o", "x.sbi"});
    REQUIRE(parsed);
    CHECK(parsed->from_partclone == std::vector<std::string>{"a.aa", "a.ab"});
    CHECK(parsed->source.empty());
    CHECK(parsed->torrent.name == "x.sbi");
    CHECK(refusal({"--from-partclone", "a"}) == "--from-partclone needs --pack");
    CHECK(refusal({"b", "--pack", "--from-partclone", "a"}) ==
          "SOURCE cannot be combined with --partclone, --bt-dir or --from-partclone");
    CHECK(refusal({"--partclone", "b", "--pack", "--from-partclone", "a"}) ==
          "--from-partclone cannot be combined with --partclone or --bt-dir");
}
