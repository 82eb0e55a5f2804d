#include "backend_fixture.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <list>
#include <thread>
#include <tuple>
#include <utility>

#include <catch2/catch.hpp>
#include <libtorrent/add_torrent_params.hpp>
#include <libtorrent/bencode.hpp>
#include <libtorrent/create_torrent.hpp>
#include <libtorrent/entry.hpp>
#include <libtorrent/file_storage.hpp>
#include <libtorrent/hasher.hpp>
#include <libtorrent/peer_request.hpp>
#include <libtorrent/session.hpp>
#include <libtorrent/torrent_info.hpp>

#include "support/temp_dir.hpp"

namespace seedbed::test {

namespace {

char const* chars(std::span<std::byte const> data) {
    return reinterpret_cast<char const*>(data.data());
}

/// A Merkle root by recursion; leaves beyond the given ones are zero (BEP 52).
lt::sha256_hash root_of(std::vector<lt::sha256_hash> const& leaves, std::size_t first, std::size_t width) {
    if (width == 1) {
        return first < leaves.size() ? leaves[first] : lt::sha256_hash{};
    }
    lt::hasher256 parent;
    for (auto const half : {first, first + width / 2}) {
        auto const child = root_of(leaves, half, width / 2);
        parent.update(child.data(), 32);
    }
    return parent.final();
}

lt::sha256_hash v2_piece_root(std::span<std::byte const> piece, bool only_piece, int piece_length) {
    std::vector<lt::sha256_hash> leaves;
    for (std::size_t at = 0; at < piece.size(); at += block_size) {
        leaves.push_back(sha256_of(piece.subspan(at, std::min<std::size_t>(block_size, piece.size() - at))));
    }
    auto const whole = static_cast<std::size_t>(piece_length / block_size);
    return root_of(leaves, 0, only_piece ? std::bit_ceil(leaves.size()) : whole);
}

std::string hex_name(std::int64_t offset) {
    std::array<char, 33> name{};
    static_cast<void>(std::snprintf(name.data(), name.size(), "%032llx", static_cast<long long>(offset)));
    return name.data();
}

lt::create_flags_t flags_of(torrent_kind kind) {
    switch (kind) {
    case torrent_kind::v1:
        return lt::create_torrent::v1_only;
    case torrent_kind::v2:
        return lt::create_torrent::v2_only;
    case torrent_kind::hybrid:
        break;
    }
    return {};
}

bytes file_content(lt::file_storage const& files, lt::file_index_t file, bytes const& device) {
    auto const size = files.file_size(file);
    if (files.pad_file_at(file)) {
        return bytes(static_cast<std::size_t>(size));
    }
    auto const offset = std::stoll(files.file_name(file).to_string(), nullptr, 16);
    return {device.begin() + offset, device.begin() + offset + size};
}

void set_v1_hashes(lt::create_torrent& torrent, bytes const& device) {
    bytes stream;
    for (auto const file : torrent.files().file_range()) {
        auto const content = file_content(torrent.files(), file, device);
        stream.insert(stream.end(), content.begin(), content.end());
    }
    for (auto const piece : torrent.files().piece_range()) {
        auto const at = static_cast<std::size_t>(static_cast<int>(piece) * torrent.piece_length());
        auto const size = static_cast<std::size_t>(torrent.piece_size(piece));
        torrent.set_hash(piece, sha1_of(std::span(stream).subspan(at, size)));
    }
}

void set_v2_hashes(lt::create_torrent& torrent, bytes const& device) {
    auto const length = static_cast<std::size_t>(torrent.piece_length());
    for (auto const file : torrent.files().file_range()) {
        if (torrent.files().pad_file_at(file)) {
            continue;
        }
        auto const content = file_content(torrent.files(), file, device);
        int index = 0;
        for (std::size_t at = 0; at < content.size(); at += length, ++index) {
            auto const piece = std::span(content).subspan(at, std::min(length, content.size() - at));
            torrent.set_hash2(file, lt::piece_index_t::diff_type{index},
                              v2_piece_root(piece, content.size() <= length, torrent.piece_length()));
        }
    }
}

std::vector<char> encode_torrent(image_plan const& plan, bytes const& device) {
    lt::file_storage files;
    for (auto const& part : plan.extents) {
        files.add_file("image/" + hex_name(part.device_offset), part.length);
    }
    lt::create_torrent torrent(files, plan.piece_length, flags_of(plan.kind));
    if (plan.kind != torrent_kind::v2) {
        set_v1_hashes(torrent, device);
    }
    if (plan.kind != torrent_kind::v1) {
        set_v2_hashes(torrent, device);
    }
    std::vector<char> encoded;
    lt::bencode(std::back_inserter(encoded), torrent.generate());
    return encoded;
}

image_torrent load(std::vector<char> const& encoded) {
    temp_dir const folder;
    auto const path = folder.path() / "image.torrent";
    std::ofstream(path, std::ios::binary).write(encoded.data(), static_cast<std::streamsize>(encoded.size()));
    auto loaded = load_image_torrent(path);
    if (!loaded) {
        FAIL(loaded.error().message);
    }
    return std::move(*loaded);
}

/// What the images of equal plans share.
struct image_content {
    image_plan plan;
    bytes device;              ///< its first content
    std::vector<char> torrent; ///< encoded
};

/// Of the last few plans, since making it takes most of the time of many cases, which repeat with other parameters.
std::shared_ptr<image_content const> content_of(image_plan const& plan) {
    constexpr std::size_t most = 8;
    static std::list<std::shared_ptr<image_content const>> kept;
    auto const found = std::ranges::find_if(kept, [&plan](auto const& each) {
        auto const& other = each->plan;
        return std::tie(other.kind, other.piece_length, other.seed) ==
                   std::tie(plan.kind, plan.piece_length, plan.seed) &&
               other.extents == plan.extents;
    });
    if (found != kept.end()) {
        return *found;
    }
    std::int64_t end = 0;
    for (auto const& part : plan.extents) {
        end = std::max(end, part.device_offset + part.length);
    }
    auto made = std::make_shared<image_content>();
    made->plan = plan;
    made->device = pattern(static_cast<std::size_t>(end + 4 * kib), plan.seed);
    made->torrent = encode_torrent(plan, made->device);
    kept.push_back(made);
    if (kept.size() > most) {
        kept.pop_front();
    }
    return made;
}

} // namespace

backend_options default_options() {
    backend_options made;
    made.hashing.longest_wait = short_wait;
    return made;
}

bytes pattern(std::size_t size, std::uint32_t seed) {
    bytes made(size);
    std::uint64_t state = seed;
    for (std::size_t at = 0; at < size; at += sizeof state) {
        // SplitMix64
        state += 0x9e37'79b9'7f4a'7c15U;
        auto value = (state ^ (state >> 30U)) * 0xbf58'476d'1ce4'e5b9U;
        value = (value ^ (value >> 27U)) * 0x94d0'49bb'1331'11ebU;
        value ^= value >> 31U;
        std::memcpy(made.data() + at, &value, std::min(sizeof value, size - at));
    }
    return made;
}

lt::sha1_hash sha1_of(std::span<std::byte const> data) {
    return lt::hasher(chars(data), static_cast<int>(data.size())).final();
}

lt::sha256_hash sha256_of(std::span<std::byte const> data) {
    return lt::hasher256(chars(data), static_cast<int>(data.size())).final();
}

// --- test_image

test_image::test_image(image_plan made_as, backend* shared)
    : plan(std::move(made_as)) {
    auto const content = content_of(plan);
    initial = content->device;
    auto const size = static_cast<std::int64_t>(initial.size());
    auto made = plan.ring ? std::make_unique<fake_block_device>(size, "fake", plan.read_only)
                          : std::make_unique<fake_block_device>(initial, "fake", plan.read_only);
    if (plan.ring) {
        made->give_descriptor();
        made->set_contents(0, initial);
    }
    device = made.get();
    auto torrent = load(content->torrent);
    if (shared == nullptr) {
        storage = std::make_shared<image_device>(std::move(torrent), std::move(made));
        return;
    }
    auto built = shared->make_image(std::move(torrent), std::move(made), plan.profile());
    if (!built) {
        FAIL(built.error().message);
    }
    served = std::move(*built);
    storage = served;
}

void test_image::set_threads(int threads) const {
    auto profile = plan.profile();
    profile.threads = threads;
    served->set_profile(profile);
}

void test_image::put(torrent_offset begin, std::span<std::byte const> data) const {
    for (auto const& slice : slices(begin, static_cast<std::int64_t>(data.size()))) {
        auto const part = data.first(static_cast<std::size_t>(slice.length));
        if (slice.device_offset != extent::padding) {
            REQUIRE(device->write(slice.device_offset, part));
        }
        data = data.subspan(part.size());
    }
}

io_profile image_plan::profile() const {
    io_profile made;
    made.threads = threads;
    made.coalesce = coalesce;
    made.delay = delay;
    made.read_ahead = read_ahead;
    made.elevator = elevator;
    made.backlog_runs = elevator ? 4 : 1;
    made.queue_depth = threads;
    made.io_engine = ring ? io_engine_kind::io_uring : io_engine_kind::threads;
    return made;
}

image_plan engine_way::applied_to(image_plan plan) const {
    plan.coalesce = coalesce;
    plan.delay = delay;
    plan.read_ahead = read_ahead;
    plan.elevator = elevator;
    plan.threads = threads;
    return plan;
}

backend_options engine_way::options() const {
    auto made = default_options();
    made.cache_bytes = cache_bytes;
    made.hashing.ahead = hash_ahead;
    return made;
}

std::vector<engine_way> engine_ways() {
    using std::chrono::milliseconds;
    constexpr std::int64_t one = block_size;
    constexpr std::int64_t much = 4LL << 20;
    return {
        {"all switched off", one, milliseconds(0), one, false, 1, 0, false},
        {"as on a disk", much, milliseconds(5), much, true, 2, std::nullopt, true},
        {"as on flash", 4 * one, milliseconds(1), 2 * one, false, 8, std::nullopt, true},
        {"no cache", much, milliseconds(5), much, false, 1, 0, true},
        {"no coalescing, small cache", one, milliseconds(5), much, true, 4, 3 * one, false},
        {"runs that do not wait", much, milliseconds(0), one, true, 4, std::nullopt, true},
    };
}

std::ostream& operator<<(std::ostream& to, engine_way const& way) {
    return to << way.name;
}

void eventually(std::function<bool()> const& condition) {
    auto const end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) {
            FAIL("does not happen");
        }
        std::this_thread::yield();
    }
}

std::vector<extent> test_image::slices(torrent_offset begin, std::int64_t length) const {
    std::vector<extent> found;
    storage->torrent().extents.for_each_slice(begin, length, [&found](extent const& e) { found.push_back(e); });
    return found;
}

bytes test_image::stream() const {
    return stream({}, storage->torrent().extents.total_size());
}

bytes test_image::stream(torrent_offset begin, std::int64_t length) const {
    bytes joined;
    for (auto const& slice : slices(begin, length)) {
        auto const part = slice.device_offset == extent::padding ? bytes(static_cast<std::size_t>(slice.length))
                                                                 : device->contents(slice.device_offset, slice.length);
        joined.insert(joined.end(), part.begin(), part.end());
    }
    return joined;
}

image_plan test_image::awkward(int threads, bool read_only) {
    image_plan plan;
    plan.threads = threads;
    plan.read_only = read_only;
    plan.extents = {{512, 1000},           {4096, 40 * kib},          {64 * kib, 512},      {68 * kib, 3},
                    {100 * kib, 90 * kib}, {200 * kib, 5 * kib + 24}, {210 * kib, 7 * kib}, {220 * kib, 60 * kib}};
    return plan;
}

image_plan test_image::with_padding(torrent_kind kind) {
    image_plan plan;
    plan.kind = kind;
    plan.extents = {{4096, 5000}, {16 * kib, 64 * kib}, {100 * kib, 150 * kib + 100}, {260 * kib, 33 * kib}};
    return plan;
}

bytes without_padding(test_image const& image, torrent_offset begin, bytes data) {
    std::size_t at = 0;
    for (auto const& slice : image.slices(begin, static_cast<std::int64_t>(data.size()))) {
        auto const part = std::span(data).subspan(at, static_cast<std::size_t>(slice.length));
        if (slice.device_offset == extent::padding) {
            std::ranges::fill(part, std::byte{0});
        }
        at += part.size();
    }
    return data;
}

bool gaps_untouched(test_image const& image) {
    auto now = image.device->contents(0, image.device->size());
    for (auto const& slice : image.slices({}, image.storage->torrent().extents.total_size())) {
        if (slice.device_offset != extent::padding) {
            std::copy_n(image.initial.begin() + slice.device_offset, slice.length, now.begin() + slice.device_offset);
        }
    }
    return now == image.initial;
}

test_image& test_backend::add(image_plan const& plan) {
    images.push_back(std::make_unique<test_image>(plan, shared.get()));
    REQUIRE(shared->add_image(images.back()->served));
    return *images.back();
}

bool test_backend::all_given_back() const {
    eventually([this] { return shared->hash_workers().current_progress().pending == 0; });
    for (auto const& image : images) {
        // Read-ahead without a waiter, and the last steps of the worker that has ended the last job.
        eventually([&image] { return image->io().progress().pending == 0 && !image->io().has_unwritten(); });
        shared->cache().drop_clean(image->io().number());
    }
    return shared->pool().in_use() == 0 && shared->cache().invariant_holds() && shared->cache().dirty() == 0 &&
           shared->cache().filling() == 0;
}

// --- test_session

test_session::test_session(std::shared_ptr<backend> shared, int max_queued_bytes)
    : settings(lt::default_settings()) {
    settings.set_int(lt::settings_pack::max_queued_disk_bytes, max_queued_bytes);
    io = make_disk_io(std::move(shared), context, settings, counters);
}

lt::storage_holder test_session::add(info_hash const& key) {
    static lt::file_storage const files;
    static std::string const path;
    static lt::aux::vector<lt::download_priority_t, lt::file_index_t> const priorities;
    lt::sha1_hash const hash(key.bytes().data());
    return io->new_torrent({files, nullptr, path, lt::storage_mode_sparse, priorities, hash}, nullptr);
}

template <class Post>
outcome_ptr test_session::post(Post const& how) {
    auto what = std::make_shared<outcome>();
    m_outcomes.push_back(what);
    m_posting = true;
    how(what);
    m_posting = false;
    return what;
}

void test_session::enter(outcome& what, lt::storage_error const& error) {
    ++what.calls;
    what.order = m_order++;
    what.within_post = what.within_post || m_posting;
    what.error = error;
}

namespace {

/// Calls what.then and checks the thread; must be the last action of a handler.
void leave(outcome& what, std::thread::id expected) {
    what.wrong_thread = what.wrong_thread || std::this_thread::get_id() != expected;
    if (what.then) {
        what.then(what);
    }
}

} // namespace

outcome_ptr test_session::read(lt::storage_index_t storage, int piece, int start, int length) {
    return post([&](outcome_ptr const& what) {
        io->async_read(storage, {lt::piece_index_t{piece}, start, length},
                       [this, what, id = std::this_thread::get_id()](lt::disk_buffer_holder buffer,
                                                                     lt::storage_error const& error) {
                           enter(*what, error);
                           auto const data =
                               std::as_bytes(std::span(buffer.data(), static_cast<std::size_t>(buffer.size())));
                           what->data.assign(data.begin(), data.end());
                           leave(*what, id);
                       });
    });
}

outcome_ptr test_session::write(lt::storage_index_t storage, int piece, int start, std::span<std::byte const> data,
                                std::shared_ptr<lt::disk_observer> observer) {
    return post([&](outcome_ptr const& what) {
        // A copy that is destroyed when the call returns, like libtorrent's receive buffer.
        bytes const copy(data.begin(), data.end());
        what->pause = io->async_write(storage, {lt::piece_index_t{piece}, start, static_cast<int>(copy.size())},
                                      chars(copy), std::move(observer),
                                      [this, what, id = std::this_thread::get_id()](lt::storage_error const& error) {
                                          enter(*what, error);
                                          leave(*what, id);
                                      });
    });
}

outcome_ptr test_session::bad_write(lt::storage_index_t storage, int piece, int start, int length) {
    return post([&](outcome_ptr const& what) {
        bytes const nothing(static_cast<std::size_t>(64 * kib));
        what->pause = io->async_write(storage, {lt::piece_index_t{piece}, start, length}, chars(nothing), {},
                                      [this, what, id = std::this_thread::get_id()](lt::storage_error const& error) {
                                          enter(*what, error);
                                          leave(*what, id);
                                      });
    });
}

outcome_ptr test_session::hash(lt::storage_index_t storage, int piece, lt::disk_job_flags_t flags, int v2_blocks) {
    return post([&](outcome_ptr const& what) {
        what->block_hashes.resize(static_cast<std::size_t>(v2_blocks));
        io->async_hash(storage, lt::piece_index_t{piece}, what->block_hashes, flags,
                       [this, what, id = std::this_thread::get_id()](
                           lt::piece_index_t index, lt::sha1_hash const& digest, lt::storage_error const& error) {
                           enter(*what, error);
                           what->number = static_cast<int>(index);
                           what->sha1 = digest;
                           leave(*what, id);
                       });
    });
}

outcome_ptr test_session::hash2(lt::storage_index_t storage, int piece, int offset, lt::disk_job_flags_t flags) {
    return post([&](outcome_ptr const& what) {
        io->async_hash2(storage, lt::piece_index_t{piece}, offset, flags,
                        [this, what, id = std::this_thread::get_id()](
                            lt::piece_index_t index, lt::sha256_hash const& digest, lt::storage_error const& error) {
                            enter(*what, error);
                            what->number = static_cast<int>(index);
                            what->sha256 = digest;
                            leave(*what, id);
                        });
    });
}

outcome_ptr test_session::stop(lt::storage_index_t storage) {
    return post([&](outcome_ptr const& what) {
        io->async_stop_torrent(storage, [this, what, id = std::this_thread::get_id()] {
            enter(*what);
            leave(*what, id);
        });
    });
}

outcome_ptr test_session::release(lt::storage_index_t storage) {
    return post([&](outcome_ptr const& what) {
        io->async_release_files(storage, [this, what, id = std::this_thread::get_id()] {
            enter(*what);
            leave(*what, id);
        });
    });
}

outcome_ptr test_session::check(lt::storage_index_t storage, lt::add_torrent_params const* resume) {
    return post([&](outcome_ptr const& what) {
        io->async_check_files(
            storage, resume, {},
            [this, what, id = std::this_thread::get_id()](lt::status_t status, lt::storage_error const& error) {
                enter(*what, error);
                what->status = status;
                leave(*what, id);
            });
    });
}

outcome_ptr test_session::clear(lt::storage_index_t storage, int piece) {
    return post([&](outcome_ptr const& what) {
        io->async_clear_piece(storage, lt::piece_index_t{piece},
                              [this, what, id = std::this_thread::get_id()](lt::piece_index_t index) {
                                  enter(*what);
                                  what->number = static_cast<int>(index);
                                  leave(*what, id);
                              });
    });
}

outcome_ptr test_session::priorities(lt::storage_index_t storage) {
    return post([&](outcome_ptr const& what) {
        lt::aux::vector<lt::download_priority_t, lt::file_index_t> wanted;
        wanted.push_back(lt::low_priority);
        wanted.push_back(lt::top_priority);
        io->async_set_file_priority(
            storage, wanted,
            [this, what, wanted, id = std::this_thread::get_id()](
                lt::storage_error const& error, lt::aux::vector<lt::download_priority_t, lt::file_index_t> const& got) {
                enter(*what, error);
                what->number = got == wanted ? 1 : 0;
                leave(*what, id);
            });
    });
}

outcome_ptr test_session::move(lt::storage_index_t storage, std::string const& path) {
    return post([&](outcome_ptr const& what) {
        io->async_move_storage(storage, path, lt::move_flags_t::always_replace_files,
                               [this, what, id = std::this_thread::get_id()](
                                   lt::status_t status, std::string const& got, lt::storage_error const& error) {
                                   enter(*what, error);
                                   what->status = status;
                                   what->text = got;
                                   leave(*what, id);
                               });
    });
}

outcome_ptr test_session::rename(lt::storage_index_t storage, int file, std::string const& name) {
    return post([&](outcome_ptr const& what) {
        io->async_rename_file(storage, lt::file_index_t{file}, name,
                              [this, what, id = std::this_thread::get_id()](
                                  std::string const& got, lt::file_index_t index, lt::storage_error const& error) {
                                  enter(*what, error);
                                  what->text = got;
                                  what->number = static_cast<int>(index);
                                  leave(*what, id);
                              });
    });
}

outcome_ptr test_session::erase(lt::storage_index_t storage) {
    return post([&](outcome_ptr const& what) {
        io->async_delete_files(storage, lt::session::delete_files,
                               [this, what, id = std::this_thread::get_id()](lt::storage_error const& error) {
                                   enter(*what, error);
                                   leave(*what, id);
                               });
    });
}

void test_session::run_until(std::function<bool()> const& condition) {
    while (!condition()) {
        context.restart();
        if (context.run_one_for(std::chrono::minutes(1)) == 0) {
            FAIL("nothing happens any more");
        }
    }
}

void test_session::run_all() {
    run_until([this] { return std::ranges::all_of(m_outcomes, [](auto const& what) { return what->done(); }); });
    context.restart();
    // Returns by itself: without outstanding jobs, the context must not keep running.
    context.run_for(std::chrono::minutes(1));
    if (!context.stopped()) {
        FAIL("the io_context has work although no job is outstanding");
    }
}

void test_session::poll() {
    context.restart();
    context.poll();
}

bool test_session::all_ended_well() const {
    return std::ranges::all_of(
        m_outcomes, [](auto const& what) { return what->calls == 1 && !what->within_post && !what->wrong_thread; });
}

void test_session::forget_ended() {
    REQUIRE(std::ranges::none_of(
        m_outcomes, [](auto const& what) { return what->calls > 1 || what->within_post || what->wrong_thread; }));
    std::erase_if(m_outcomes, [](auto const& what) { return what->done(); });
}

std::int64_t test_session::counter(int which) {
    io->update_stats_counters(counters);
    return counters[which];
}

} // namespace seedbed::test
