#include "daemon/commands/agent_options.hpp"

#include <filesystem>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace seedbed;
using namespace std::chrono_literals;

namespace {

result<agent_options> parse_agent(std::vector<std::string> more) {
    more.insert(more.begin(), {"--server", "http://s:1"});
    return parse_agent_options(more);
}

std::string agent_refusal(std::vector<std::string> const& more) {
    auto const parsed = parse_agent(more);
    return parsed ? "accepted" : parsed.error().message;
}

} // namespace

TEST_CASE("the defaults of agent") {
    auto const parsed = parse_agent({});
    REQUIRE(parsed);
    CHECK(parsed->server.text() == "s:1");
    CHECK_FALSE(parsed->once);
    CHECK_FALSE(parsed->after);
    CHECK(parsed->hooks.empty());
    CHECK(parsed->hook_limit == 5min);
    CHECK(parsed->seed_until_idle == 15s);
    CHECK(parsed->local_discovery);
    CHECK(parsed->macs.empty());
}

TEST_CASE("every option of agent") {
    auto const parsed = parse_agent({"--once",
                                     "--after-deploy",
                                     "h",
                                     "--after-deploy-timeout",
                                     "7s",
                                     "--after",
                                     "poweroff",
                                     "--mac",
                                     "52540001AAFF",
                                     "--serial",
                                     "S1",
                                     "--power",
                                     "p",
                                     "--seed-until-idle",
                                     "1s",
                                     "--no-local-discovery",
                                     "--listen",
                                     "127.0.0.1:7000",
                                     "--secret-file",
                                     "f",
                                     "--state",
                                     "s",
                                     "--config",
                                     "c"});
    REQUIRE(parsed);
    auto const here = std::filesystem::current_path();
    CHECK(parsed->once);
    CHECK(parsed->hooks == here / "h");
    CHECK(parsed->hook_limit == 7s);
    CHECK(parsed->after == after_deploy::poweroff);
    CHECK(parsed->macs == std::vector<std::string>{"52:54:00:01:aa:ff"});
    CHECK(parsed->serial == "S1");
    CHECK(parsed->power == here / "p");
    CHECK(parsed->seed_until_idle == 1s);
    CHECK_FALSE(parsed->local_discovery);
    CHECK(parsed->listen.size() == 1);
    CHECK(parsed->secret_file == "f");
    CHECK(parsed->state == here / "s");
    CHECK(parsed->config == "c");
}

TEST_CASE("a bad option of agent is refused with its name") {
    CHECK(parse_agent_options({}).error().message == "--server URL is missing");
    CHECK(parse_agent_options({"--server", "ftp://x"}).error().message ==
          "--server 'ftp://x' is not a server: expected http://HOST:PORT");
    CHECK(agent_refusal({"--after", "sleep"}) == "--after sleep: expected reboot, poweroff or wait");
    CHECK(agent_refusal({"--mac", "x"}).starts_with("--mac 'x' is not a MAC address"));
    CHECK(agent_refusal({"--after-deploy-timeout", "10 ms"}) == "--after-deploy-timeout 10 ms: expected at least 1s");
    CHECK(agent_refusal({"--seed-until-idle", "x"}).starts_with("--seed-until-idle "));
    CHECK(agent_refusal({"--listen", "x"}).starts_with("--listen "));
}
