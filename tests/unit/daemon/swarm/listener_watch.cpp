#include "daemon/swarm/listener_watch.hpp"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "support/endpoints.hpp"

using namespace seedbed;

namespace {

struct watched {
    watched() {
        watch.set_handler([this](result<void> const& outcome) {
            ++calls;
            failure = outcome ? "" : outcome.error().message;
        });
    }

    std::vector<ip_endpoint> configured = test::endpoints({"10.0.0.1:6881", "0.0.0.0:6882"});
    int calls = 0;
    std::string failure;
    listener_watch watch;
};

} // namespace

TEST_CASE("listeners: the outcome is reported once, after all addresses were tried") {
    watched w;
    w.watch.opened(test::endpoint("10.0.0.1:6881"));
    CHECK(w.calls == 0);
    w.watch.settle();
    w.watch.settle();
    CHECK(w.calls == 1);
    CHECK(w.failure.empty());
}

TEST_CASE("listeners: a configured address that fails is an error, even if others do not") {
    watched w;
    w.watch.opened(test::endpoint("0.0.0.0:6882"));
    w.watch.failed(test::endpoint("10.0.0.1:6881"), "Address already in use", w.configured);
    w.watch.settle();
    CHECK(w.failure == "listen on 10.0.0.1:6881: Address already in use");
}

TEST_CASE("listeners: some addresses of a wildcard may fail, but not all") {
    watched one;
    one.watch.failed(test::endpoint("192.0.2.1:6882"), "Address already in use", one.configured);
    one.watch.opened(test::endpoint("192.0.2.2:6882"));
    one.watch.settle();
    CHECK(one.failure.empty());

    watched none;
    none.watch.failed(test::endpoint("192.0.2.1:6882"), "Address already in use", none.configured);
    none.watch.settle();
    CHECK(none.failure == "cannot listen on any of the configured addresses");
}

TEST_CASE("listeners: a later failure changes nothing") {
    watched w;
    w.watch.opened(test::endpoint("10.0.0.1:6881"));
    w.watch.settle();
    w.watch.failed(test::endpoint("10.0.0.1:6881"), "Address already in use", w.configured);
    w.watch.settle();
    CHECK(w.calls == 1);
    CHECK(w.failure.empty());
}
