#include "daemon/machine/machine_service.hpp"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "core/foundation/worker_pool.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using namespace std::chrono_literals;
using seedbed::test::temp_dir;

namespace {

constexpr auto ask_of_first = "/machine/job?mac=52:54:00:00:00:01";

/// A daemon's service with one machine, PC-1.
struct service_fixture {
    boost::asio::io_context main{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{main.get_executor()};
    worker_pool workers{"test", 1};
    std::vector<deployment_record> ended;
    machine_service service{main, workers, [](auto const& /*image*/) { return std::nullopt; },
                            [this](deployment_record record) { ended.push_back(std::move(record)); }};

    explicit service_fixture(std::string const& folder) {
        settings wanted;
        machine_settings machine;
        machine.name = "PC-1";
        machine.mac = "52:54:00:00:00:01";
        machine.order.image = "win";
        wanted.machines.push_back(machine);
        service.apply(wanted, folder);
    }

    /// The response, at the latest after 10 s.
    http_response get(std::string const& target, bool operators = false) {
        std::optional<http_response> got;
        http_request request;
        request.target = target;
        request.peer_address = "10.0.0.5";
        auto const respond = [&got](http_response response) { got = std::move(response); };
        if (operators) {
            REQUIRE(service.answer_operator(request, respond));
        } else {
            service.answer_agent(request, respond);
        }
        main.restart();
        for (auto const end = std::chrono::steady_clock::now() + 10s; !got && std::chrono::steady_clock::now() < end;) {
            main.run_one_for(100ms);
            main.restart();
        }
        REQUIRE(got);
        return *got;
    }
    /// The same, once the record has been read.
    http_response get_ready(std::string const& target) {
        auto response = get(target);
        while (response.status == 503 && response.body.find("reading") != std::string::npos) {
            main.run_one_for(100ms);
            main.restart();
            response = get(target);
        }
        return response;
    }
    std::string job_id() {
        auto const document = nlohmann::json::parse(get_ready(ask_of_first).body);
        return document["job"].is_null() ? "" : document["job"]["id"].get<std::string>();
    }
};

nlohmann::json record_in(temp_dir const& folder) {
    std::ifstream in(folder / "machines.json");
    return nlohmann::json::parse(std::string{std::istreambuf_iterator<char>(in), {}}, nullptr, false);
}

} // namespace

TEST_CASE("machines: a job is on the disk when it is given out, and after a restart it is the same") {
    temp_dir const folder;
    std::string id;
    {
        service_fixture f(folder.path());
        id = f.job_id();
        REQUIRE(id.size() == 16);
        CHECK(record_in(folder)["jobs"]["PC-1"]["state"] == "running");
    }
    {
        service_fixture f(folder.path());
        CHECK(f.job_id() == id);
        CHECK(f.get("/machine/report?job=" + id + "&state=done&device=/dev/sda").status == 200);
        CHECK(record_in(folder)["jobs"]["PC-1"]["state"] == "done");
    }
    service_fixture f(folder.path());
    CHECK(f.job_id().empty());
    auto const redone = f.get("/machines/redo?name=PC-1", true);
    CHECK(redone.status == 200);
    CHECK(redone.body == "PC-1\n");
    auto const next = f.job_id();
    CHECK(next.size() == 16);
    CHECK(next != id);
}

TEST_CASE("machines: without a record on the disk, no job is given out") {
    temp_dir const folder;
    std::ofstream(folder / "file") << "x";
    service_fixture f(folder / "file"); // no folder can be made there
    auto const response = f.get_ready(ask_of_first);
    CHECK(response.status == 503);
    CHECK(response.body.find("record of jobs") != std::string::npos);
}

TEST_CASE("machines: a damaged record stops all jobs, and stays as it is") {
    temp_dir const folder;
    auto const* const text = GENERATE("{", "[]", R"({"jobs":{"PC-1":{"id":"x","state":"done"}}})");
    std::ofstream(folder / "machines.json") << text;
    service_fixture f(folder.path());
    auto const response = f.get_ready(ask_of_first);
    CHECK(response.status == 503);
    CHECK(response.body.find("damaged") != std::string::npos);
    CHECK(f.get("/machines/redo?name=all", true).status == 503);
    std::ifstream in(folder / "machines.json");
    CHECK(std::string{std::istreambuf_iterator<char>(in), {}} == text);
}

TEST_CASE("machines: bad requests are answered, and change nothing") {
    temp_dir const folder;
    service_fixture f(folder.path());
    auto const id = f.job_id();
    CHECK(f.get("/machine/job").status == 400);
    CHECK(f.get("/machine/job?mac=%zz").status == 400);
    CHECK(f.get("/machine/report?job=" + id).status == 400);
    CHECK(f.get("/machine/report?job=ffff&state=done").status == 404);
    CHECK(f.get("/machine/other").status == 404);
    CHECK(f.get("/machine/report?job=" + id + "&state=failed&reason=x").status == 200);
    CHECK(f.get("/machine/report?job=" + id + "&state=done").status == 409);
    CHECK(f.get("/machines/redo?name=PC-9", true).status == 409);
    auto const list = nlohmann::json::parse(f.get("/machines", true).body);
    CHECK(list["machines"][0]["state"] == "failed");
    CHECK(list["machines"][0]["reason"] == "x");
    http_request other;
    other.target = "/status";
    CHECK_FALSE(f.service.answer_operator(other, [](auto const& /*response*/) {}));
}

TEST_CASE("machines: each end of a job is reported once, and nothing else is") {
    temp_dir const folder;
    service_fixture f(folder.path());
    auto const id = f.job_id();
    CHECK(f.get("/machine/report?job=" + id + "&state=running&phase=write&percent=3").status == 200);
    CHECK(f.ended.empty());
    for (int i = 0; i < 2; ++i) {
        CHECK(f.get("/machine/report?job=" + id + "&state=failed&reason=EIO&disk_serial=X1&verified=0").status == 200);
    }
    REQUIRE(f.ended.size() == 1);
    CHECK(f.ended[0].machine == "PC-1");
    CHECK(f.ended[0].id == id);
    CHECK(f.ended[0].end == deployment_end::failed);
    CHECK(f.ended[0].reason == "EIO");
    CHECK(f.ended[0].serial == "X1");
    CHECK(f.ended[0].verified == false);
}

TEST_CASE("machines: too many requests are refused") {
    temp_dir const folder;
    service_fixture f(folder.path());
    REQUIRE(f.get_ready("/machine/other").status == 404);
    int refused = 0;
    for (int i = 0; i < 20'000 && refused == 0; ++i) {
        http_request request;
        request.target = "/machine/other";
        f.service.answer_agent(
            request, [&refused](http_response const& response) { refused += response.status == 429 ? 1 : 0; });
    }
    CHECK(refused == 1);
}
