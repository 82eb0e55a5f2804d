#include "daemon/fleet/image_catalog.hpp"

#include <algorithm>
#include <memory>
#include <string>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace seedbed;
using Catch::Contains;

namespace {

constexpr auto torrent_without_tracker = "d4:infod4:name4:sda1ee";

std::string whole_body(http_response const& response) {
    auto all = response.body;
    for (auto const& each : response.more_body) {
        all += each.bytes;
    }
    return all;
}

catalog_image listed_image(std::string name, std::string torrent = torrent_without_tracker, bool has_tracker = false) {
    catalog_image image;
    image.name = std::move(name);
    image.bytes = 1000;
    image.info_hash = info_hash::from_hex("00112233445566778899aabbccddeeff00112233").value();
    image.torrent = std::make_shared<served_torrent const>(std::move(torrent), has_tracker);
    return image;
}

http_response ask(image_catalog const& catalog, std::string target, std::string host = "seed:6969") {
    http_request request;
    request.target = std::move(target);
    request.host = std::move(host);
    request.local_address = "192.0.2.1";
    request.local_port = 6969;
    return catalog.answer(request);
}

} // namespace

TEST_CASE("catalog: the list has each image with its sizes and its URL", "[catalog]") {
    image_catalog catalog;
    auto packed = listed_image("win11");
    packed.packed_bytes = 300;
    packed.source = image_kind::disk;
    catalog.set_images({listed_image("sda1"), packed});
    for (auto const* const target : {"/images", "/images/", "/images?x"}) {
        auto const response = ask(catalog, target);
        CHECK(response.status == 200);
        CHECK(response.content_type == "application/json");
        auto const json = nlohmann::json::parse(response.body);
        CHECK(json["format"] == 1);
        REQUIRE(json["images"].size() == 2);
        CHECK(json["images"][0]["kind"] == "raw");
        CHECK(json["images"][0]["source"].is_null());
        CHECK(json["images"][0]["bytes"] == 1000);
        CHECK(json["images"][0]["packed_bytes"].is_null());
        CHECK(json["images"][1]["name"] == "win11");
        CHECK(json["images"][1]["kind"] == "packed");
        CHECK(json["images"][1]["source"] == "disk");
        CHECK(json["images"][1]["packed_bytes"] == 300);
        CHECK(json["images"][1]["info_hash"] == "00112233445566778899aabbccddeeff00112233");
        CHECK(json["images"][1]["torrent"] == "http://seed:6969/images/win11.torrent");
    }
}

TEST_CASE("catalog: a name leads to its torrent, with and without .torrent, percent-encoded or not", "[catalog]") {
    image_catalog catalog;
    catalog.set_images(
        {listed_image("a", "d8:announce1:aee", true), listed_image("a.torrent", "d8:announce1:bee", true)});
    for (auto const* const target :
         {"/images/a", "/images/%61", "/images/a.torrent", "/images/%61%2Etorrent", "/images/a?x=y"}) {
        CAPTURE(target);
        CHECK(whole_body(ask(catalog, target)) == "d8:announce1:aee");
    }
    CHECK(whole_body(ask(catalog, "/images/a.torrent.torrent")) == "d8:announce1:bee");
}

TEST_CASE("catalog: a torrent without a tracker gets the tracker of the server that the client has named",
          "[catalog]") {
    image_catalog catalog;
    catalog.set_images({listed_image("sda1")});
    CHECK(whole_body(ask(catalog, "/images/sda1")) == "d8:announce25:http://seed:6969/announce4:infod4:name4:sda1ee");
    CHECK(whole_body(ask(catalog, "/images/sda1", "")) ==
          "d8:announce30:http://192.0.2.1:6969/announce4:infod4:name4:sda1ee");
    // Its list of trackers is empty; a second key "announce" would make it invalid.
    catalog.set_images({listed_image("sda1", "d8:announce0:4:infodee", false)});
    CHECK(whole_body(ask(catalog, "/images/sda1")) == "d8:announce0:4:infodee");
}

TEST_CASE("catalog: nothing but the images can be reached", "[catalog]") {
    image_catalog catalog;
    catalog.set_images({listed_image("sda1")});
    for (auto const* const target :
         {"/images/other", "/images/../images/sda1", "/images/%2e%2e%2fetc%2fpasswd", "/images/sda1/", "/images//sda1",
          "/images/sda1%00", "/images/.torrent", "/images/SDA1", "/images/sda1.torrent.torrent", "/images/%0a"}) {
        CAPTURE(target);
        auto const response = ask(catalog, target);
        CHECK(response.status == 404);
        CHECK(response.body.find('\n') == response.body.size() - 1);
        CHECK(response.more_body.empty());
    }
    CHECK(ask(catalog, "/images/%zz").status == 400);
    CHECK_FALSE(image_catalog::has("/imagesx"));
    CHECK_FALSE(image_catalog::has("/x/../images"));
    CHECK(image_catalog::has("/images/a"));
}
