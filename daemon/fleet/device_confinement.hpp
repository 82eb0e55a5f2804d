#pragma once

#include "core/foundation/error.hpp"

namespace seedbed {

/// Denies the calling thread, and every program that it starts from then on, to open or make device nodes, except those
/// without hardware behind them, such as /dev/null and terminals (Landlock, landlock(7)). Files outside /dev stay as
/// accessible as they were; open descriptors stay usable. It cannot be undone. Unless the thread has CAP_SYS_ADMIN,
/// set-user-ID programs lose their power, too (no_new_privs).
///
/// \return an error if the kernel lacks Landlock or refuses it; the thread is not confined then.
[[nodiscard]] result<void> deny_device_nodes_to_this_thread();

} // namespace seedbed
