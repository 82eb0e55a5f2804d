#include "daemon/commands/deploy_options.hpp"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "support/endpoints.hpp"

using namespace seedbed;
using namespace std::chrono_literals;

namespace {

using strings = std::vector<std::string>;

result<deploy_options> parse(strings more) {
    more.insert(more.begin(), {"x.torrent", "/dev/sdx1"});
    return parse_deploy_options(more);
}

std::string refusal(strings const& arguments) {
    auto const parsed = parse(arguments);
    return parsed ? "accepted" : parsed.error().message;
}

} // namespace

TEST_CASE("the defaults of deploy") {
    auto const parsed = parse({});
    REQUIRE(parsed);
    CHECK(parsed->image.torrent == (std::filesystem::current_path() / "x.torrent").string());
    CHECK(parsed->image.device == "/dev/sdx1");
    CHECK(parsed->image.mode == image_mode::deploy);
    CHECK(parsed->image.verify);
    CHECK(parsed->image.check == target_check::resume);
    CHECK_FALSE(parsed->image.serial);
    CHECK_FALSE(parsed->image.size);
    CHECK(parsed->local_discovery);
    CHECK_FALSE(parsed->yes);
    CHECK_FALSE(parsed->timeout);
    CHECK_FALSE(parsed->seeding.time);
    CHECK_FALSE(parsed->seeding.idle);
    CHECK_FALSE(parsed->seeding.ratio);
}

TEST_CASE("every option of deploy") {
    auto const parsed = parse({"--yes",
                               "--serial",
                               "S1",
                               "--size",
                               "20 GiB",
                               "--peer",
                               "10.0.0.1:6881",
                               "--peer",
                               "[fd00::1]:7000",
                               "--tracker",
                               "http://t:1/announce",
                               "--no-local-discovery",
                               "--listen",
                               "0.0.0.0:7001",
                               "--timeout",
                               "10min",
                               "--no-verify",
                               "--seed-for",
                               "90s",
                               "--seed-until-idle",
                               "15 s",
                               "--ratio",
                               "2.5",
                               "--check",
                               "full",
                               "--state",
                               "/state",
                               "--receipt",
                               "r.json",
                               "--profile",
                               "nvme",
                               "--config",
                               "c.toml"});
    REQUIRE(parsed);
    CHECK(parsed->yes);
    CHECK(parsed->image.serial == "S1");
    CHECK(parsed->image.size == 20LL << 30);
    CHECK(parsed->image.peers == test::endpoints({"10.0.0.1:6881", "[fd00::1]:7000"}));
    CHECK(parsed->image.trackers == strings{"http://t:1/announce"});
    CHECK_FALSE(parsed->local_discovery);
    CHECK(parsed->listen == test::endpoints({"0.0.0.0:7001"}));
    CHECK(parsed->timeout == 600s);
    CHECK_FALSE(parsed->image.verify);
    CHECK(parsed->seeding.time == 90s);
    CHECK(parsed->seeding.idle == 15s);
    CHECK(parsed->seeding.ratio == 2.5);
    CHECK(parsed->image.check == target_check::full);
    CHECK(parsed->state == "/state");
    CHECK(parsed->receipt == "r.json");
    CHECK(parsed->image.profile == storage_class::nvme);
    CHECK(parsed->config == "c.toml");
}

TEST_CASE("deploy: the torrent comes from a file, a URL, a name on a server or standard input") {
    using kind = torrent_source::kind;
    auto const source = [](strings const& arguments) {
        auto const parsed = parse_deploy_options(arguments);
        return parsed ? parsed->source : torrent_source{kind::file, parsed.error().message};
    };
    auto const url = source({"http://seed:6970/images/win11", "/dev/sdx"});
    CHECK(url.from == kind::server);
    CHECK(url.name() == "http://seed:6970/images/win11");
    auto const named = source({"win11", "--server", "seed", "/dev/sdx"});
    CHECK(named.from == kind::server);
    CHECK(named.name() == "http://seed:6969/images/win11");
    CHECK(source({"--server", "[2001:db8::1]:80", "win11", "/dev/sdx"}).name() ==
          "http://[2001:db8::1]:80/images/win11");
    auto const input = source({"-", "/dev/sdx"});
    CHECK(input.from == kind::standard_input);
    CHECK(input.name() == "standard input");
    CHECK(source({"./-", "/dev/sdx"}).from == kind::file);

    CHECK(source({"https://seed/win11", "/dev/sdx"}).path ==
          "'https://seed/win11' is not supported: expected a URL with http://");
    CHECK(source({"win11", "--server", "http://seed", "/dev/sdx"}).path ==
          "--server http://seed: expected HOST, HOST:PORT or [IPV6]:PORT");
    CHECK_THAT(source({"a/b", "--server", "seed", "/dev/sdx"}).path,
               Catch::StartsWith("--server: 'a/b' is not a name"));
    CHECK_THAT(source({"-x/", "--server", "seed", "/dev/sdx"}).path, Catch::Contains("-x"));
}

TEST_CASE("deploy: an error names its option") {
    CHECK(parse_deploy_options({}).error().message == "TORRENT and DEVICE are missing");
    CHECK(parse_deploy_options({"x.torrent"}).error().message == "DEVICE is missing");
    CHECK(refusal({"third"}) == "too many arguments");
    CHECK_THAT(refusal({"--peer", "host"}), Catch::StartsWith("--peer 'host'"));
    CHECK_THAT(refusal({"--listen", "0.0.0.0"}), Catch::StartsWith("--listen '0.0.0.0'"));
    CHECK_THAT(refusal({"--tracker", "ftp://x"}), Catch::StartsWith("--tracker 'ftp://x'"));
    CHECK_THAT(refusal({"--size", "big"}), Catch::StartsWith("--size "));
    CHECK_THAT(refusal({"--timeout", "soon"}), Catch::StartsWith("--timeout 'soon'"));
    CHECK_THAT(refusal({"--seed-for", "9"}), Catch::StartsWith("--seed-for '9'"));
    CHECK_THAT(refusal({"--ratio", "-1"}), Catch::StartsWith("--ratio -1"));
    CHECK_THAT(refusal({"--ratio", "nan"}), Catch::StartsWith("--ratio nan"));
    CHECK_THAT(refusal({"--check", "maybe"}), Catch::StartsWith("--check maybe"));
    CHECK_THAT(refusal({"--profile", "floppy"}), Catch::StartsWith("--profile floppy"));
    CHECK_THAT(refusal({"--verify", "--no-verify"}), Catch::Contains("mutually exclusive"));
    CHECK(refusal({"--discard", "--no-wipe-signatures"}) ==
          "--discard and --no-wipe-signatures are mutually exclusive");
    CHECK_THAT(refusal({"--peers", "10.0.0.1:1"}), Catch::Contains("--peers")); // no guessing
}

TEST_CASE("the help of deploy names every exit status") {
    auto const help = help_text(deploy_help());
    for (int code = 0; code <= 9; ++code) {
        CAPTURE(code);
        CHECK_THAT(help, Catch::Contains("\n  " + std::to_string(code) + "  "));
    }
    CHECK(parse_deploy_options({"--help"})->help);
}

TEST_CASE("the device of deploy is a path or a rule") {
    auto const device = [](std::string const& text) { return parse_deploy_options({"x.torrent", text}).value(); };
    CHECK(device("auto").rule.value().text == "auto");
    CHECK(device("auto").image.device.empty());
    CHECK(device("nvme,200G..600G").rule);
    auto const current = std::filesystem::current_path();
    for (auto const& [text, path] : {std::pair{"./auto", current / "./auto"},
                                     {"disk.img", current / "disk.img"},
                                     {"../a..b", current / "../a..b"},
                                     {"/dev/sda", "/dev/sda"}}) {
        INFO(text);
        CHECK_FALSE(device(text).rule);
        CHECK(device(text).image.device == path);
    }
}
