#include "daemon/history/history_document.hpp"

#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "support/sample_record.hpp"

using namespace seedbed;
using namespace seedbed::test;

TEST_CASE("history document: what was written is read again") {
    auto other = strangers_record("", 5);
    other.end = deployment_end::refused;
    other.verified.reset();
    other.started.reset();
    other.taken.reset();
    other.receipt.clear();
    other.disk_bytes.reset();
    auto const text = to_history_document({{7, sample_record("1")}, {3, other}}, 2);
    auto const part = parse_history_document(text);
    REQUIRE(part);
    CHECK(part->records == std::vector{sample_record("1"), other});
    CHECK(part->next == 3);
    CHECK_FALSE(parse_history_document(to_history_document({{7, other}}, 2))->next);
    CHECK(parse_history_document(to_history_document({}, 2))->records.empty());
    auto const document = nlohmann::json::parse(text);
    CHECK(document.at("deployments").at(0).at("seconds") == 200.5);
    CHECK(document.at("deployments").at(0).at("receipt") == nlohmann::json::parse(sample_receipt()));
    CHECK(document.at("deployments").at(1).at("receipt").is_null());
    CHECK(document.at("deployments").at(1).at("verified").is_null());
    CHECK(parse_history_document(json_head() + to_json_text(other) + "\n]}\n")->records == std::vector{other});
}

TEST_CASE("history document: other documents are refused with one line") {
    for (auto const* text : {"", "[]", "{}", R"({"format":2,"deployments":[]})", R"({"format":1})",
                             R"({"format":1,"deployments":[7]})", R"({"format":1,"deployments":[{"state":"done"}]})"}) {
        INFO(text);
        auto const part = parse_history_document(text);
        REQUIRE_FALSE(part);
        CHECK(part.error().message.find('\n') == std::string::npos);
    }
}

TEST_CASE("history document: a filter as a query") {
    history_filter filter{.image = "a&b=1", .machine = "PC 17"};
    filter.since = record_time(0);
    filter.unsuccessful = true;
    filter.before = 17;
    filter.most = 5;
    auto const read = read_history_filter(*query_string::parse("/history?" + to_query(filter)));
    REQUIRE(read);
    CHECK(read->image == filter.image);
    CHECK(read->machine == filter.machine);
    CHECK(read->since == filter.since);
    CHECK(read->unsuccessful);
    CHECK(read->before == 17);
    CHECK(read->most == 5);
    CHECK(read_history_filter(*query_string::parse("/history"))->most == 1000);
    CHECK(read_history_filter(*query_string::parse("/history?most=999999999"))->most == most_listed_records);
    CHECK(read_history_filter(*query_string::parse("/history?most=0"))->most == 1);
    CHECK_FALSE(read->receipts);
    filter.receipts = true;
    CHECK(read_history_filter(*query_string::parse("/history?" + to_query(filter)))->receipts);
    CHECK(read_history_filter(*query_string::parse("/history?receipts=1&most=5000"))->most == most_listed_receipts);
    CHECK_FALSE(read_history_filter(*query_string::parse("/history?since=yesterday")));
}

TEST_CASE("history document: CSV, in which no text becomes a formula") {
    CHECK(
        csv_titles() ==
        "ended_at,started_at,seconds,state,verified,id,machine,card,address,image,info_hash,device,model,serial,"
        "class,reason,warnings,disk_bytes,image_bytes,fetched_bytes,job,authenticated,opening_seconds,checking_seconds,"
        "downloading_seconds,flushing_seconds,verifying_seconds,written_bytes,reused_bytes,sent_bytes,wwn,"
        "partition_table,sources\n");
    CHECK(csv_line(sample_record("1")) ==
          "2026-01-31T12:00:00Z,2026-01-31T11:56:40Z,200.500,done,yes,1,PC-17,52:54:00:00:00:17,192.0.2.17,win11," +
              sample_record("1").info_hash +
              ",/dev/nvme0n1,Samsung SSD 970,S466NX0K,nvme,,2 file systems have the same UUID,500107862016,"
              "10737418240,4294967296,yes,yes,0.5,,150.25,,,4294967296,,7,naa.5,gpt,2\n");
    auto hostile = strangers_record("+1");
    hostile.verified.reset();
    hostile.started.reset();
    hostile.taken.reset();
    hostile.receipt = R"({"receipt":1,"device":{"wwn":"=1,\"2"},"seconds":{"opening":"+3"}})";
    hostile.disk_bytes.reset();
    hostile.image = "=cmd|' /C calc'!A0";
    hostile.device = "-2";
    hostile.model = "@SUM(1)";
    hostile.serial = "a\"b,c";
    hostile.reason = "\t=1\r\n";
    auto const line = csv_line(hostile);
    CHECK_THAT(line, Catch::Contains(",,done,,'+1,") && Catch::Contains(",'=cmd|' /C calc'!A0,") &&
                         Catch::Contains(",'-2,'@SUM(1),\"a\"\"b,c\",") && Catch::Contains(",\"'\t=1\r\n\",") &&
                         Catch::EndsWith(",no,no,'+3,,,,,,,,\"'=1,\"\"2\",,\n"));
}

TEST_CASE("history document: the jobs of an earlier version") {
    std::size_t skipped = 0;
    auto const jobs = parse_job_file(
        R"({"machine":"PC-1","job":"0123456789abcdef","state":"failed","image":"win11","device":"/dev/sda","card":"c",)"
        R"("reason":"EIO","started_at":"2026-01-31T11:00:00Z","ended_at":"2026-01-31T12:00:00Z"})"
        "\nnonsense\n{}\n"
        R"({"machine":"PC-2","job":"1123456789abcdef","state":"done","image":"win11","device":null,"card":null,)"
        R"("reason":null,"started_at":null,"ended_at":"2026-01-31T12:00:01Z"})",
        skipped);
    CHECK(skipped == 2);
    REQUIRE(jobs.size() == 2);
    CHECK(jobs[0].is_job);
    CHECK(jobs[0].id == "0123456789abcdef");
    CHECK(jobs[0].machine == "PC-1");
    CHECK(jobs[0].end == deployment_end::failed);
    CHECK(jobs[0].reason == "EIO");
    CHECK(jobs[0].device == "/dev/sda");
    CHECK(jobs[0].ended == record_time(0));
    CHECK(seconds_of(jobs[0]) == 3600);
    CHECK(jobs[1].end == deployment_end::done);
    CHECK_FALSE(jobs[1].verified);
}
