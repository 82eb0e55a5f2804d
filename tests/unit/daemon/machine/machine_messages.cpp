#include "daemon/machine/machine_messages.hpp"

#include <string>

#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

using namespace seedbed;

TEST_CASE("an identity reads back from its query") {
    machine_identity const who{{"52:54:00:00:00:01", "52:54:00:00:00:02"}, "S 1/ü", "/dev/sda (x), /dev/sdb", ""};
    auto const query = query_string::parse(std::string(machine_job_path) + "?" + to_query(who));
    REQUIRE(query);
    auto const read = read_machine_identity(*query);
    REQUIRE(read);
    CHECK(read->macs == who.macs);
    CHECK(read->serial == "S 1/??"); // printable
    CHECK(read->disks == who.disks);

    auto const refused = [](std::string const& text) {
        auto const parsed = read_machine_identity(query_string::parse("/machine/job?" + text).value());
        return parsed ? "" : parsed.error().message;
    };
    CHECK(refused("mac=1") == "'1' is not a MAC address: expected 52:54:00:12:34:56");
    CHECK(refused("disks=x") == "neither a MAC address nor a serial number");
    CHECK(refused("serial=" + std::string(5000, 'x')).empty()); // cut
}

TEST_CASE("a report reads back from its query") {
    job_report const said{"0123456789abcdef", job_state::refused, "choosing", 7, "/dev/sda", "too & small"};
    auto const read = read_job_report(query_string::parse("/machine/report?" + to_query(said)).value());
    REQUIRE(read);
    CHECK(read->id == said.id);
    CHECK(read->state == said.state);
    CHECK(read->phase == said.phase);
    CHECK(read->percent == 7);
    CHECK(read->device == said.device);
    CHECK(read->reason == said.reason);
    CHECK_FALSE(read->taken);
    CHECK(read->receipt.empty());
    auto done = said;
    done.taken = std::chrono::milliseconds(90'500);
    done.receipt = "eJw+/=";
    auto const end = read_job_report(query_string::parse("/machine/report?" + to_query(done)).value());
    REQUIRE(end);
    CHECK(end->taken == done.taken);
    CHECK(end->receipt == done.receipt);
    CHECK_FALSE(read_job_report(*query_string::parse("/machine/report?job=1&state=done&taken=99999999999999"))->taken);
    for (auto const* const text : {"job=1", "state=done", "job=1&state=waiting", "job=1&state=x"}) {
        INFO(text);
        CHECK_FALSE(read_job_report(query_string::parse(std::string("/machine/report?") + text).value()));
    }
}

TEST_CASE("an answer reads back from its document, and the agent refuses a bad one") {
    machine_job job{"0123456789abcdef"};
    job.order.image = "win";
    job.order.disk = "nvme";
    job.order.grow = {growth::choice::numbered, 3};
    job.order.new_ids = true;
    job.order.after = after_deploy::poweroff;
    auto const offer = parse_job_offer(to_json_text(job_answer{.machine = "PC-1", .job = &job}));
    REQUIRE(offer);
    CHECK(offer->machine == "PC-1");
    REQUIRE(offer->job);
    CHECK(offer->job->id == job.id);
    CHECK(offer->job->order == job.order);

    auto const nothing =
        parse_job_offer(to_json_text(job_answer{.reason = "why", .ask_again = std::chrono::seconds(7)}));
    REQUIRE(nothing);
    CHECK_FALSE(nothing->job);
    CHECK(nothing->machine.empty());
    CHECK(nothing->reason == "why");
    CHECK(nothing->ask_again == std::chrono::seconds(7));
    CHECK_FALSE(nothing->job_waits);
    CHECK(parse_job_offer(to_json_text(job_answer{.job_waits = true})).value().job_waits);

    auto const good = R"({"job":{"id":"1","image":"win","disk":"auto","after":"wait"},"ask_again":0})";
    CHECK(parse_job_offer(good).value().ask_again == std::chrono::seconds(1));
    CHECK(parse_job_offer(good).value().job->order == machine_order{.image = "win", .after = after_deploy::wait});
    for (auto const& [key, value] : {std::pair{"id", ""},
                                     {"image", "../x"},
                                     {"disk", "any"},
                                     {"grow", "all"},
                                     {"new_ids", "yes"},
                                     {"after", "now"}}) {
        auto bad = nlohmann::json::parse(good);
        bad["job"][key] = value;
        INFO(bad.dump());
        CHECK_FALSE(parse_job_offer(bad.dump()));
    }
    for (auto const* const text : {"", "[]", "{", R"({"job":1})"}) {
        CHECK_FALSE(parse_job_offer(text));
    }
}

TEST_CASE("the list of machines is a document of format 1") {
    machine_row row{"PC-1", "52:54:00:00:00:01"};
    row.job = machine_job{"0123456789abcdef", job_state::running};
    row.job->percent = 5;
    auto const document = nlohmann::json::parse(to_json_text(std::vector{row, machine_row{"", "", "S1"}}));
    CHECK(document["format"] == 1);
    CHECK(document["machines"][0]["name"] == "PC-1");
    CHECK(document["machines"][0]["state"] == "running");
    CHECK(document["machines"][0]["percent"] == 5);
    CHECK(document["machines"][0]["serial"].is_null());
    CHECK(document["machines"][1]["state"].is_null());
    CHECK(document["machines"][1]["serial"] == "S1");
}
