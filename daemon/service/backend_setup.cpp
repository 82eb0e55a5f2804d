#include "daemon/service/backend_setup.hpp"

#include <algorithm>
#include <thread>

namespace seedbed {

backend_options to_backend_options(settings const& wanted) {
    backend_options options;
    options.cache_shards = wanted.memory.cache_shards;
    options.cache_bytes = wanted.memory.cache;
    options.huge_pages = wanted.memory.huge_pages;
    options.hashing.ahead = wanted.hashing.ahead;
    return options;
}

int hash_threads(settings const& wanted) {
    return wanted.hashing.threads.value_or(static_cast<int>(std::max(std::thread::hardware_concurrency(), 1U)));
}

std::int64_t queued_bytes(settings const& wanted) {
    return wanted.memory.pool; // the backend keeps a part for reads
}

} // namespace seedbed
