#include "daemon/history/history_store.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>
#include <string>

#include <sqlite3.h>
#include <sys/stat.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "daemon/history/history_database.hpp"
#include "daemon/history/history_document.hpp"
#include "daemon/history/receipt_text.hpp"
#include "daemon/log/logging.hpp"
#include "support/sample_record.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using namespace seedbed::test;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

struct store_fixture {
    boost::asio::io_context main{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{main.get_executor()};
    history_store store{main};

    explicit store_fixture(std::filesystem::path const& folder, std::size_t limit = 1000) {
        store.apply(folder.string(), limit);
    }
    /// The answer, at the latest after 10 s.
    result<std::string> find(history_filter const& filter = {}) {
        std::optional<result<std::string>> got;
        store.find(filter, [&got](result<std::string> const& text) { got = text; });
        for (auto const end = std::chrono::steady_clock::now() + 10s; !got && std::chrono::steady_clock::now() < end;) {
            main.run_one_for(100ms);
        }
        REQUIRE(got);
        return *got;
    }
    std::string ids() {
        std::string all;
        auto const text = find();
        REQUIRE(text);
        auto const part = parse_history_document(*text);
        REQUIRE(part);
        for (auto const& record : part->records) {
            all += record.id + " ";
        }
        return all;
    }
};

} // namespace

TEST_CASE("history store: records survive a restart, and an end that is reported again changes nothing") {
    temp_dir const folder;
    {
        store_fixture f(folder / "state");
        CHECK(f.ids().empty());
        CHECK_FALSE(std::filesystem::exists(folder / "state")); // made for the first record
        f.store.add(sample_record("1"));
        f.store.add(sample_record("2"));
        f.store.add(sample_record("1"));
        CHECK(f.ids() == "2 1 ");
        CHECK(f.store.changes() == 2);
        f.store.add(sample_record("3")); // written by the destructor
    }
    store_fixture f(folder / "state");
    CHECK(f.ids() == "3 2 1 ");
    f.store.add(sample_record("3"));
    CHECK(f.ids() == "3 2 1 ");
    CHECK(f.store.changes() == 0);
}

TEST_CASE("history store: a new database gets the jobs of an earlier version, once") {
    temp_dir const folder;
    std::ofstream(folder / "machine-history.jsonl")
        << R"({"machine":"PC-1","job":"0123456789abcdef","state":"done","ended_at":"2026-01-31T12:00:00Z"})"
        << "\n";
    {
        store_fixture f(folder.path());
        CHECK(f.ids() == "0123456789abcdef ");
        f.store.add(sample_record("2"));
    }
    std::ofstream(folder / "machine-history.jsonl")
        << R"({"machine":"PC-1","job":"f123456789abcdef","state":"done","ended_at":"2026-01-31T12:00:00Z"})"
        << "\n";
    CHECK(store_fixture(folder.path()).ids() == "2 0123456789abcdef ");
}

TEST_CASE("history store: without a database, the answer says why") {
    temp_dir const folder;
    std::ofstream(folder / "history.sqlite") << std::string(8192, 'x');
    store_fixture f(folder.path());
    f.store.add(sample_record("1"));
    auto const answer = f.find();
    REQUIRE_FALSE(answer);
    CHECK_THAT(answer.error().message, Contains("history.sqlite: ") && Contains("not a database"));

    f.store.apply((folder / "other").string(), 1000); // another folder was configured
    f.store.add(sample_record("2"));
    CHECK(f.ids() == "2 ");
    f.store.apply((folder / "other").string(), 0);
    f.store.add(sample_record("3"));
    CHECK_THAT(f.find().error().message, Contains("[history] limit is 0"));
    f.store.apply((folder / "other").string(), 1000);
    CHECK(f.ids() == "2 ");
}

TEST_CASE("history store: a receipt is unpacked when it is recorded, and left out if it is damaged") {
    temp_dir const folder;
    store_fixture f(folder.path());
    auto record = sample_record("1");
    record.receipt.clear();
    record.packed_receipt = packed_receipt(sample_receipt());
    f.store.add(record);
    record.id = "2";
    record.packed_receipt = "nonsense";
    f.store.add(record);
    auto const found = parse_history_document(f.find({.receipts = true}).value());
    REQUIRE(found);
    REQUIRE(found->records.size() == 2);
    CHECK(found->records[0].receipt.empty());
    CHECK(found->records[1].receipt == sample_receipt());
}

TEST_CASE("history store: receipts that wait to be written take limited memory") {
    temp_dir const folder;
    auto const path = folder / "history.sqlite";
    REQUIRE(history_database::open(path));
    sqlite3* other = nullptr;
    REQUIRE(::sqlite3_open(path.c_str(), &other) == SQLITE_OK);
    std::size_t kept = 0;
    std::size_t size = 0;
    {
        store_fixture f(folder.path(), 10'000);
        CHECK(f.ids().empty());
        REQUIRE(::sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) == SQLITE_OK);
        auto record = sample_record("");
        record.receipt.clear();
        std::mt19937 random(1);
        nlohmann::json noise{{"receipt", 1}};
        for (int i = 0; i < 400; ++i) {
            noise["noise"].push_back(random());
        }
        record.packed_receipt = packed_receipt(noise.dump());
        size = record.packed_receipt.size();
        REQUIRE(size > 2000);
        for (int i = 0; i < 4000; ++i) { // more than 8 MB, of which up to 4 MiB are being written, and as many wait
            record.id = std::to_string(i);
            f.store.add(record);
        }
        REQUIRE(::sqlite3_exec(other, "COMMIT", nullptr, nullptr, nullptr) == SQLITE_OK);
        REQUIRE(::sqlite3_close(other) == SQLITE_OK);
        std::size_t records = 0;
        for (history_filter filter{.most = 500, .receipts = true}; records == 0 || filter.before;) {
            auto const part = parse_history_document(f.find(filter).value());
            REQUIRE(part);
            filter.before = part->next;
            records += part->records.size();
            kept += static_cast<std::size_t>(
                std::ranges::count_if(part->records, [](auto const& each) { return !each.receipt.empty(); }));
        }
        CHECK(records == 4000);
    }
    CHECK(kept * size >= std::size_t{4} << 20);
    CHECK(kept * size <= std::size_t{8} << 20);
}

TEST_CASE("history store: too many requests are refused at once") {
    temp_dir const folder;
    store_fixture f(folder.path());
    int refused = 0;
    int answered = 0;
    for (int i = 0; i < 100; ++i) {
        f.store.find({}, [&](result<std::string> const& text) { ++(text ? answered : refused); });
    }
    CHECK(refused == 92);
    while (answered < 8) {
        REQUIRE(f.main.run_one_for(10s) > 0);
    }
    CHECK(f.find());
}
