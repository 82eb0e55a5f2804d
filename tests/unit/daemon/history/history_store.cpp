#include "daemon/history/history_store.hpp"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include <sys/stat.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

#include "daemon/history/history_document.hpp"
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
